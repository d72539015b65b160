// Package obs is what operators see of a running hub: its log and its metrics. It decides nothing and names no customer: log values under
// secret keys are blanked, metrics carry plans, classes and route patterns only.
package obs
