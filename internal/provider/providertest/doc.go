// Package providertest is the conformance suite of hub.Provider: what every provider must do, shown with portable SQL through its public
// methods. A provider's own test calls Run; what only one kind of provider can show (files, roles, clusters) stays in that package's tests.
package providertest
