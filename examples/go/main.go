// A receiver of Reelhook's webhooks, with nothing but the standard library.
//
//	REELHOOK_SECRET=whsec_... PORT=3000 go run .
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance   = 5 * time.Minute
	largestBody = 4 << 20
)

type receiver struct {
	secrets [][]byte
	// In a real receiver: a table with a unique id, written in the same transaction as the event's effect.
	seen sync.Map
}

// isGenuine says whether the holder of a secret signed these bytes, just now.
// The body is what arrived, before any JSON parser.
func (r *receiver) isGenuine(header http.Header, body []byte, now time.Time) bool {
	id, sentAt := header.Get("webhook-id"), header.Get("webhook-timestamp")
	if id == "" || strings.Contains(id, ".") || strings.Trim(sentAt, "0123456789") != "" {
		return false
	}
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	if err != nil || seconds < now.Add(-tolerance).Unix() || seconds > now.Add(tolerance).Unix() {
		return false
	}
	genuine := false
	for _, secret := range r.secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.", id, sentAt)
		mac.Write(body)
		ours := mac.Sum(nil)
		for _, entry := range strings.Fields(header.Get("webhook-signature")) {
			if !strings.HasPrefix(entry, "v1,") {
				continue
			}
			theirs, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(entry, "v1,"))
			if err == nil && hmac.Equal(theirs, ours) {
				genuine = true
			}
		}
	}
	return genuine
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, largestBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if !r.isGenuine(request.Header, body, time.Now()) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// Note the event, answer, and let something else act on it: slow work belongs behind a queue.
	id := request.Header.Get("webhook-id")
	if _, before := r.seen.LoadOrStore(id, true); before {
		fmt.Println("duplicate", id)
	} else {
		fmt.Println("verified", eventType(body), id)
	}
	w.WriteHeader(http.StatusNoContent)
}

func eventType(body []byte) string {
	var event struct{ Type string }
	if err := json.Unmarshal(body, &event); err != nil {
		return "unknown"
	}
	return event.Type
}

func main() {
	r := &receiver{}
	// Several secrets, separated by commas: while one is rotated, the old and the new one are both good.
	for _, text := range strings.Split(os.Getenv("REELHOOK_SECRET"), ",") {
		encoded := strings.TrimPrefix(strings.TrimSpace(text), "whsec_")
		// Padding is easily lost in copying, so it is not asked for.
		secret, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil || len(secret) == 0 {
			log.Fatal("REELHOOK_SECRET is not whsec_ and base64")
		}
		r.secrets = append(r.secrets, secret)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, r))
}
