package hub

import (
	"context"
	"errors"
	"time"
)

// TenantState is a tenant's own life, apart from its request's.
type TenantState string

// The states of a tenant.
const (
	TenantProvisioning TenantState = "provisioning"
	TenantActive       TenantState = "active"
	TenantSuspended    TenantState = "suspended"
	TenantOffboarding  TenantState = "offboarding"
	TenantRetained     TenantState = "retained"
	TenantPurged       TenantState = "purged"
	TenantError        TenantState = "error"
)

// Tenant is a customer's provisioned place.
type Tenant struct {
	ID             string
	RequestID      string
	CustomerID     string
	State          TenantState
	Backend        Backend
	Member         string // the pool's member whose database it took, until that bears the tenant's own seal
	CatalogVersion string
	Sealed         []byte // Credentials as JSON, sealed and bound to this tenant; SecretVersion is part of the binding
	SecretVersion  int64
	SizeBytes      int64
	RevealedAt     *time.Time
	CreatedAt      time.Time
	ReadyAt        *time.Time
	Version        int64

	Customer CustomerRef // joined for reading
	Plan     string      // joined for reading
}

// TenantFilter narrows a listing.
type TenantFilter struct {
	State TenantState
	After string // id
	Limit int
}

// ErrPlaceTaken is what InsertTenant returns when the place is another tenant's.
var ErrPlaceTaken = errors.New("the place is another tenant's")

// TenantStore keeps tenants. Errors: CodeNotFound, ErrConflict from UpdateTenant, ErrPlaceTaken from InsertTenant.
type TenantStore interface {
	InsertTenant(ctx context.Context, t *Tenant) error
	Tenant(ctx context.Context, id string) (*Tenant, error)
	LockTenant(ctx context.Context, id string) (*Tenant, error)
	UpdateTenant(ctx context.Context, t *Tenant) error
	ListTenants(ctx context.Context, f TenantFilter) ([]*Tenant, error)
}

// Vault seals and opens. What is sealed for one place cannot be opened for another.
type Vault interface {
	SealBytes(plain []byte, tenant, field string, version int64) ([]byte, error)
	OpenBytes(sealed []byte, tenant, field string, version int64) ([]byte, error)
	MAC(context string, data []byte) []byte
}
