// Package world makes and runs worlds in which forecasts are put to the test: it generates traces from seeds and parameters, reads those that
// others bring, lets the line happen, and counts how often the forecasts kept their word. The model learns nothing from it but what a hub
// would see at the time.
package world
