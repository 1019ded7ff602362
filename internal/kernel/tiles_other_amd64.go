//go:build !linux && !purego

package kernel

// tilesAllowed: only Linux is known to hand out the tile registers on request.
func tilesAllowed() bool { return false }
