internal import Models

/// One batch going through a model: what every block needs to compute.
///
/// In all blocks R = B · T rows have C channels; a gradient is `dx`, `dWeight`.
struct Pass<Device: Engine> {
    let model: Transformer<Device>
    /// Whether gradients of weights are added to what is there.
    var accumulate = false
    /// Whether experts' load is counted, for the loss that balances it.
    var countsLoad = false
    /// Where keys and values are kept; nil where nothing follows this batch.
    var kept: KeptRows<Device>?

    var engine: Device { model.engine }
    var plan: ActivationPlan { model.plan }
    var scratch: ActivationPlan.Scratch { model.plan.scratch }
    var rows: Int { model.plan.rows }

    /// A part of the planned memory.
    func values(_ range: Range<Int>) -> Tensor<Device.Buffer> { model.values(range) }

    /// A part of the planned memory that holds whole numbers.
    func integers(_ range: Range<Int>) -> Tensor<Device.Buffer> { model.integers(range) }

    /// The values of an operand.
    func weights(_ block: ParameterBlock) -> Tensor<Device.Buffer> { model.weights(of: block) }

    /// Where the gradient of an operand goes; nil when it is frozen.
    func gradient(_ block: ParameterBlock) -> Tensor<Device.Buffer>? {
        block.gradient.map { model.gradients(at: $0) }
    }
}

/// Hands out ranges of a memory one after the other, each from a cache line's start.
struct MemoryPlanner {
    private(set) var count = 0

    mutating func take(_ size: Int) -> Range<Int> {
        let start = count
        count += (size + 15) / 16 * 16
        return start..<start + size
    }

    /// Goes on behind `end`, if it lies further.
    mutating func reach(_ end: Int) { count = max(count, (end + 15) / 16 * 16) }
}

/// A linear layer's operands: y(R, O) = x(R, I) · w(O, I)ᵀ + b(O).
struct Linear: Sendable {
    let weight: ParameterBlock
    let bias: ParameterBlock?
    /// I and O.
    let inputs: Int, outputs: Int

    var isTrained: Bool { weight.isTrained || bias?.isTrained ?? false }

    func shape(_ rows: Int) -> LinearShape { LinearShape(rows: rows, inputs: inputs, outputs: outputs) }

    func forward<Device>(
        _ y: Range<Int>, _ x: Range<Int>, _ pass: Pass<Device>
    ) {
        pass.engine.linear(
            pass.values(y), pass.values(x), weight: pass.weights(weight), bias: bias.map { pass.weights($0) },
            shape: shape(pass.rows), adds: false)
    }

    /// The gradient of the input.
    func backward<Device>(dx: Range<Int>, dy: Range<Int>, adds: Bool = false, _ pass: Pass<Device>) {
        pass.engine.linearBackward(
            dx: pass.values(dx), dy: pass.values(dy), weight: pass.weights(weight), shape: shape(pass.rows),
            adds: adds)
    }

    /// The gradients of weights and bias, those of them that are trained.
    func backwardWeights<Device>(dy: Range<Int>, x: () -> Range<Int>, _ pass: Pass<Device>) {
        let (dWeight, dBias) = (pass.gradient(weight), bias.flatMap { pass.gradient($0) })
        guard dWeight != nil || dBias != nil else { return }
        pass.engine.linearBackward(
            dWeight: dWeight, dBias: dBias, dy: pass.values(dy), x: pass.values(x()), shape: shape(pass.rows),
            accumulate: pass.accumulate)
    }
}
