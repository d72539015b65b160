package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/hub"
)

// SQLSTATE codes that are met and meant (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeDuplicateDatabase = "42P04"
	codeDuplicateObject   = "42710"
	codeUnique            = "23505" // how two creations of one name at one time end in the shared catalogs
	codeNoDatabase        = "3D000"
	codeNoObject          = "42704"
	codeInUse             = "55006"
	codeNotInState        = "55000" // "database … is not currently accepting connections"
	codeLock              = "55P03"
	codeDeadlock          = "40P01"
	codeSerialization     = "40001"
	codeDependents        = "2BP01"
	codeAuth              = "28000"
	codePassword          = "28P01"
	codeNoRight           = "42501"
	codeInternal          = "XX000"
)

// fault makes a *hub.StepError of an error met while doing op. One that is a *hub.StepError already, and the end of ctx, pass through.
func fault(ctx context.Context, op string, err error) error {
	var step *hub.StepError
	if err == nil || errors.As(err, &step) {
		return err
	}
	if end := ctx.Err(); end != nil {
		if errors.Is(err, end) {
			return fmt.Errorf("%s: %w", op, err)
		}
		return fmt.Errorf("%s: %w", op, end) // the driver says it in its own words
	}
	class, code := classify(err)
	return &hub.StepError{Class: class, Code: code, Err: fmt.Errorf("%s: %w", op, scrubbed(err))}
}

// classify says what kind of trouble it is. Our own SQL runs here, never the catalog's, so a statement that is wrong is a bug of ours.
func classify(err error) (hub.Class, string) {
	if code := codeOf(err); code != "" {
		return classOf(code, err), code
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return hub.ClassNetwork, "ECONNREFUSED"
	case errors.As(err, &timeout), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, errKilled):
		return hub.ClassNetwork, ""
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		if strings.Contains(err.Error(), "tls") { // refused by the server or not trusted by us; neither passes by itself
			return hub.ClassAuth, "TLS"
		}
		return hub.ClassNetwork, ""
	}
	if strings.Contains(err.Error(), "conn closed") {
		return hub.ClassNetwork, ""
	}
	return hub.ClassBug, ""
}

func classOf(code string, err error) hub.Class {
	switch code {
	case codeLock, codeInUse, codeNotInState, codeDeadlock, codeSerialization:
		return hub.ClassNetwork // passes
	case codeNoRight, "25006", "0LP01", "0L000":
		return hub.ClassAuth // a read-only server is one that was failed over: the address is wrong
	case codeNoDatabase, codeDuplicateDatabase, codeDuplicateObject:
		return hub.ClassData
	case codeInternal:
		if strings.Contains(err.Error(), "concurrently updated") {
			return hub.ClassNetwork
		}
		return hub.ClassBug
	case "XX001", "XX002":
		return hub.ClassData
	}
	switch code[:2] {
	case "08", "40", "57", "58":
		return hub.ClassNetwork // connection, serialization, operator, system
	case "28":
		return hub.ClassAuth
	case "53":
		return hub.ClassQuota
	}
	return hub.ClassBug
}

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// raced reports an error with which the server answers to two changes of one thing at one time; the same again is the cure.
func raced(err error) bool {
	switch codeOf(err) {
	case codeLock, codeDeadlock, codeSerialization, codeUnique:
		return true
	case codeInternal:
		return strings.Contains(err.Error(), "concurrently updated") || strings.Contains(err.Error(), "concurrently deleted")
	}
	return false
}

// scrubbed keeps what a server says about its connections and leaves out what pgx adds: user, address and database are in the log's other
// fields, and a failing parse of an address would show its password.
func scrubbed(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the address of the cluster is not a postgres:// URL that can be used")
	}
	return err
}
