module example.com/reelhook-receiver

go 1.19
