module github.com/micro-quant/mqc/internal/kernel/_asm

go 1.26.0
