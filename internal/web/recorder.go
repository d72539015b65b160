package web

import "net/http"

// recorder remembers what was answered. http.ResponseController reaches the writer below through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int // 0 until something was sent
	bytes  int64
}

// record begins the record of what is answered on w: in the call's own room if it is free.
func record(c *call, w http.ResponseWriter) *recorder {
	if c == nil || c.rec.ResponseWriter != nil {
		return &recorder{ResponseWriter: w}
	}
	c.rec.ResponseWriter = w
	return &c.rec
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= 200 { // 1xx come before the answer
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(b)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
