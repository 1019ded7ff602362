//go:build race

package parallel

// raceDetector makes sync.Pool drop things at random.
const raceDetector = true
