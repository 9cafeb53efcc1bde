internal import CKernels

// Products with few rows, as one token at a time has them: each weight is read once, as it is kept, and the time is
// that of reading. OpenBLAS is for many rows: it wants weights in float32 and copies them to rearrange them.

extension Product {
    /// The most rows that are multiplied as vectors.
    ///
    /// Measured on one core: 11.9 billion float32 weights a second with one row, 2.9 with 16, which are 92 GFLOP/s, about
    /// what OpenBLAS reaches with many.
    static let mostVectors = 16

    /// Whether it is one of rows with a weight's, c(m, n) = a(m, k) · b(n, k)ᵀ, and has few of them.
    var hasFewRows: Bool {
        m <= Self.mostVectors && b.transposed && !a.transposed && !a.isPacked && !c.isPacked && c.stride == n
            && a.stride == k && b.stride == k
    }
}

extension CPUEngine {
    /// Carries out products that have few rows side by side; each is added to its c when `accumulate`.
    func multiplyVectors(_ products: [Product], accumulate: Bool) {
        // Few pieces, for each begins without weights that were asked for before; groups of four outputs, as the kernel has
        // them. Each output is computed alone, so it is the same bits however many threads share them.
        var pieces: [(product: Int, outputs: Range<Int>)] = []
        for (index, product) in products.enumerated() where product.m > 0 && product.n > 0 {
            let groups = (product.n + 3) / 4
            let size = 4 * ((groups + 4 * threads - 1) / (4 * threads))
            for start in stride(from: 0, to: product.n, by: size) {
                pieces.append((index, start..<min(start + size, product.n)))
            }
        }
        pool.run(.matrixProduct, pieces.count) { task, _ in
            let (index, outputs) = pieces[task]
            let product = products[index]
            unsafe ck_multiply_vectors(
                product.c.pointer(0, 0), product.a.pointer(0, 0), product.b.weights, outputs.lowerBound,
                outputs.upperBound, product.k, product.n, product.m, product.b.kernel, accumulate ? 1 : 0)
        }
    }
}

extension Matrix {
    /// Where the values begin, as they are kept.
    @unsafe fileprivate var weights: UnsafeRawPointer {
        switch values.precision {
        case .bf16, .f16: unsafe UnsafeRawPointer(values.storage.values(UInt16.self) + start)
        default: unsafe UnsafeRawPointer(values.floats + start)
        }
    }

    /// The kernels' number of how the values are kept.
    fileprivate var kernel: Int32 {
        switch values.precision {
        case .bf16: Int32(CK_BF16)
        case .f16: Int32(CK_F16)
        default: Int32(CK_F32)
        }
    }
}
