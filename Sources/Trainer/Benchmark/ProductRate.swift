internal import COpenBLAS

extension CPUEngine {
    /// How many floating-point operations a second OpenBLAS does on a model's own products.
    ///
    /// Every thread computes whole products by itself, at the same time as the others: what the machine gives
    /// when nothing is split. Each kind of product counts as often as a step does it.
    ///
    /// - Parameter products: the products of a step's forward pass, and how often each is done.
    /// - Returns: the rate of all threads together.
    func productRate(of products: [(shape: LinearShape, count: Int)]) -> Double {
        var work = 0.0
        var seconds = 0.0
        for (shape, count) in products {
            for product in Self.products(rows: shape.rows, inputs: shape.inputs, outputs: shape.outputs) {
                let flops = 2 * Double(product.m) * Double(product.n) * Double(product.k)
                work += flops * Double(count)
                seconds += flops * Double(count) / rate(of: product)
            }
        }
        return work / seconds
    }

    /// A product c(m, n) = a(m, k) b(k, n) and which of its factors are stored transposed.
    private struct Product {
        var m: Int, n: Int, k: Int
        var transposesA: Bool, transposesB: Bool
    }

    /// A linear layer's forward pass, the gradient of its input and that of its weights.
    private static func products(rows: Int, inputs: Int, outputs: Int) -> [Product] {
        [
            Product(m: rows, n: outputs, k: inputs, transposesA: false, transposesB: true),
            Product(m: rows, n: inputs, k: outputs, transposesA: false, transposesB: false),
            Product(m: outputs, n: inputs, k: rows, transposesA: true, transposesB: false),
        ]
    }

    /// How many seconds a product is repeated at least.
    private static let shortestMeasurement = 0.05

    private func rate(of product: Product) -> Double {
        let (m, n, k) = (product.m, product.n, product.k)
        let sizes = m * k + k * n + m * n
        guard let memory = try? makeBuffer(count: sizes * threads) else { return .nan }
        let flops = 2 * Double(m) * Double(n) * Double(k)
        func seconds(repeating repetitions: Int) -> Double {
            let start = ContinuousClock.now
            pool.run(.matrixProduct, threads) { task, _ in
                let a = unsafe memory.pointer + task * sizes
                let b = unsafe a + m * k
                for _ in 0..<repetitions {
                    unsafe cob_sgemm(
                        product.transposesA ? 1 : 0, product.transposesB ? 1 : 0, m, n, k, 1, a,
                        product.transposesA ? m : k, b, product.transposesB ? k : n, 0, b + k * n, n)
                }
            }
            return (ContinuousClock.now - start) / .seconds(1)
        }
        // As often as takes long enough to be measured, whatever the size.
        var repetitions = 1
        var best = seconds(repeating: 1)
        while best < Self.shortestMeasurement {
            repetitions *= 2
            best = seconds(repeating: repetitions)
        }
        for _ in 0..<2 { best = min(best, seconds(repeating: repetitions)) }
        return flops * Double(repetitions * threads) / best
    }
}
