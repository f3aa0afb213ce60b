// A receiver of Transcodely's webhooks, with nothing but the standard library.
//
//	TRANSCODELY_WEBHOOK_SECRET=whsec_... PORT=3000 go run .
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
	"strconv"
	"sync"
	"time"
)

const (
	tolerance   = 300 * time.Second
	largestBody = 4 << 20
)

type notice struct {
	Event string
	Job   struct{ ID, Status string }
}

type receiver struct {
	secret []byte   // The whole text is the key, `whsec_` included.
	seen   sync.Map // In a real receiver: a table with a unique id.
}

// isGenuine says whether the holder of the secret signed these bytes, just now.
func (r *receiver) isGenuine(header http.Header, body []byte) bool {
	timestamp := header.Get("X-Transcodely-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	ours := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(ours), []byte(header.Get("X-Transcodely-Signature")))
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
	delivery := request.Header.Get("X-Transcodely-Delivery-ID")
	if _, before := r.seen.LoadOrStore(delivery, true); before {
		fmt.Println("duplicate", delivery)
	} else {
		fmt.Println("accepted", told.Event, told.Job.ID, told.Job.Status, delivery)
	}
	w.WriteHeader(http.StatusOK)
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	r := &receiver{secret: []byte(os.Getenv("TRANSCODELY_WEBHOOK_SECRET"))}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, r))
}
