module removebgvideo-receiver

go 1.19
