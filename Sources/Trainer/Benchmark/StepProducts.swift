internal import Models

extension ParameterLayout {
    /// The products of the forward pass and how often each is done: the linear layers and the head.
    func products(rows: Int) -> [(shape: LinearShape, count: Int)] {
        var products: [(shape: LinearShape, count: Int)] = []
        func add(_ linear: Linear, rows: Int, count: Int = 1) {
            let shape = linear.shape(rows)
            if let index = products.firstIndex(where: { $0.shape == shape }) {
                products[index].count += count
            } else {
                products.append((shape, count))
            }
        }
        for layer in layers {
            add(layer.attention.queryKeyValue, rows: rows)
            add(layer.attention.output, rows: rows)
            switch layer.feedForward {
            case .gated(let block): [block.gateUp, block.down].forEach { add($0, rows: rows) }
            case .plain(let block): [block.up, block.down].forEach { add($0, rows: rows) }
            case .experts(let block):
                let own = max(1, rows * block.experts.chosen / block.experts.count)
                add(block.router, rows: rows)
                [block.gateUp, block.down].forEach { add($0, rows: own, count: block.experts.count) }
                if let shared = block.shared { [shared.gateUp, shared.down].forEach { add($0, rows: rows) } }
            }
        }
        // The head has many more outputs than rows; a part of them runs at the same rate.
        let width = finalNorm.columns
        let tokens = head.weights.count / width
        let part = min(tokens, 4_096)
        products.append((LinearShape(rows: rows, inputs: width, outputs: part), tokens / part))
        return products
    }
}

extension [(shape: LinearShape, count: Int)] {
    /// What a training step computes in them: forward, the gradient of the input and that of the weights, two operations
    /// each for every number.
    var trainingFlops: Double {
        reduce(0) { sum, product in
            sum + 6 * Double(product.count * product.shape.rows)
                * Double(product.shape.inputs * product.shape.outputs)
        }
    }
}

extension PreparedJob {
    /// About how many seconds the steps take: what their products cost at the rate of this machine, which is measured
    /// on small ones; nil where the number of steps is not known.
    ///
    /// - Throws: ``UserFacingError`` when there is no OpenBLAS.
    public func expectedSeconds() throws -> Double? {
        isOpenEnded ? nil : try expectedStageSeconds().reduce(0) { $0 + ($1 ?? 0) }
    }

    /// The same of each stage, in order; nil for one whose number of steps is not known.
    ///
    /// - Throws: ``UserFacingError`` when there is no OpenBLAS.
    public func expectedStageSeconds() throws -> [Double?] {
        let engine = try DefaultEngine(threads: options.threads)
        var rates: [[[Int]]: Double] = [:]
        return stages.map { $0.isOpenEnded ? nil : $0.expectedSeconds(on: engine, &rates) }
    }
}

extension PreparedStage {
    /// The share of the time of a step in which products of weights are computed, on the shapes of
    /// Documentation/measurements.md.
    private static let shareOfProducts = 0.75

    /// About how many seconds its steps take.
    ///
    /// - Parameters:
    ///   - engine: what computes them.
    ///   - rates: what was measured for the stages before, by the shapes of products and how often each is done.
    /// - Returns: the seconds.
    func expectedSeconds(on engine: DefaultEngine, _ rates: inout [[[Int]]: Double]) -> Double {
        let products = layout.products(rows: plan.batch * plan.length)
        let small = products.map { shape, count in
            (
                shape: LinearShape(
                    rows: min(shape.rows, 512), inputs: min(shape.inputs, 1_024),
                    outputs: min(shape.outputs, 1_024)),
                count: count
            )
        }
        var seen: Set<[Int]> = []
        let distinct = small.filter {
            seen.insert([$0.shape.rows, $0.shape.inputs, $0.shape.outputs]).inserted
        }
        let again = plan.recomputation == .layer ? 4.0 / 3 : 1
        let taught = teacher?.forwardFlops(rows: plan.batch * plan.length) ?? 0
        let step =
            (products.trainingFlops * again + taught * taughtShare) * Double(plan.accumulate)
        let key = distinct.map { [$0.shape.rows, $0.shape.inputs, $0.shape.outputs, $0.count] }
        let rate = rates[key] ?? engine.productRate(of: distinct)
        rates[key] = rate
        return Double(plan.steps) * step / rate / Self.shareOfProducts
    }
}
