// A receiver of RemoveBGVideo's webhooks, with nothing but the standard library.
//
//	REMOVEBGVIDEO_WEBHOOK_SECRET=... PORT=3000 go run .
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	tolerance   = 5 * time.Minute
	largestBody = 4 << 20
)

type notice struct {
	Event string
	Data  struct{ ID, Status string }
}

type receiver struct {
	secret []byte
	seen   sync.Map // In a real receiver: a table with a unique id.
}

// isGenuine says whether the holder of the secret signed these bytes, just now. The timestamp is signed as it was sent.
func (r *receiver) isGenuine(header http.Header, body []byte) bool {
	timestamp := header.Get("X-Webhook-Timestamp")
	sentAt, err := time.Parse(time.RFC3339, timestamp)
	if err != nil || time.Since(sentAt).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	ours := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(ours), []byte(header.Get("X-Webhook-Signature")))
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, largestBody))
	if err != nil || !r.isGenuine(request.Header, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var told notice
	if err := json.Unmarshal(body, &told); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	delivery := request.Header.Get("X-Webhook-Delivery-Id")
	if _, before := r.seen.LoadOrStore(delivery, true); before {
		fmt.Println("duplicate", delivery)
	} else {
		fmt.Println("accepted", told.Event, told.Data.ID, told.Data.Status, delivery)
	}
	w.WriteHeader(http.StatusOK)
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	r := &receiver{secret: []byte(os.Getenv("REMOVEBGVIDEO_WEBHOOK_SECRET"))}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, r))
}
