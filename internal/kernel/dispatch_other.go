//go:build !amd64 || purego

package kernel

func detect() []*engine { return nil }
