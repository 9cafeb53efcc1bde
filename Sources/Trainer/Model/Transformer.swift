public import Formats
public import Models

/// A decoder-only transformer on an engine: its weights, and memory for one batch.
///
/// What it computes stands in its blocks, forward and backward side by side.
public final class Transformer<Device: Engine> {
    /// What computes.
    public let engine: Device
    /// What the model is.
    public let architecture: Architecture
    /// Where each parameter lies in ``weights`` and the gradients.
    public let layout: ParameterLayout
    /// The trained parameters, in float32.
    public let weights: Device.Buffer
    /// The frozen parameters, as they are kept.
    public let frozen: Device.Buffer
    /// What of each layer's residual branches is added to the stream, from 0 to 1; a model as it stands in its files adds all.
    private(set) var branchShares: [Float]
    /// How the memory is used.
    let plan: ActivationPlan
    private let memory: Device.Buffer
    /// The sum of the cross entropies since it was last taken, and of the loss that balances experts.
    private let crossEntropy: Device.Scalar, balanceLoss: Device.Scalar
    /// The longest document that the tables of angles were made for.
    private var longest = -1

    /// A model whose weights are all zero, or those of another of the same layout, with which it shares them.
    ///
    /// Memory for the batches of `plan` is taken here.
    public init(
        _ architecture: Architecture, layout: ParameterLayout, plan: ActivationPlan, on engine: Device,
        sharing other: Transformer<Device>? = nil
    ) throws(UserFacingError) {
        self.engine = engine
        self.architecture = architecture
        self.layout = layout
        self.plan = plan
        branchShares = [Float](repeating: 1, count: layout.layers.count)
        if let other {
            (weights, frozen) = (other.weights, other.frozen)
        } else {
            weights = try engine.makeBuffer(count: layout.trainedCount)
            frozen = try engine.makeBuffer(count: layout.frozenWords)
        }
        memory = try engine.makeBuffer(count: plan.count)
        crossEntropy = engine.makeScalar()
        balanceLoss = engine.makeScalar()
        for (bias, range) in plan.positionBiases {
            engine.upload(bias.table(length: plan.sequenceLength), to: values(range))
        }
        let shapes = layout.layers.map {
            $0.attention.shape(batch: plan.batch, sequenceLength: plan.sequenceLength)
        }
        let widest = layout.layers.reduce(architecture.hiddenSize) {
            max($0, $1.attention.attention.heads * $1.attention.attention.headSize)
        }
        try engine.prepare(
            attention: shapes.reduce(into: []) { if !$0.contains($1) { $0.append($1) } },
            rows: RowShape(rows: plan.rows, columns: widest))
    }

    // MARK: Memory

    /// The values of an operand.
    func weights(of block: ParameterBlock) -> Tensor<Device.Buffer> {
        Tensor(block.weights, of: block.isTrained ? weights : frozen)
    }

    /// The values of a tensor of the checkpoint.
    func weights(of parameter: Parameter) -> Tensor<Device.Buffer> {
        Tensor(parameter.weights, of: parameter.isTrained ? weights : frozen)
    }

    /// The gradients at `region`, as the last backward pass left them; valid until the next batch.
    func gradients(at region: Region) -> Tensor<Device.Buffer> {
        Tensor(region, of: memory[plan.firstGradient..<plan.firstGradient + layout.gradientWords])
    }

    /// A part of the planned memory.
    func values(_ range: Range<Int>) -> Tensor<Device.Buffer> {
        Tensor(Region(.f32, start: range.lowerBound, count: range.count), of: memory)
    }

    /// A part of the planned memory that holds whole numbers.
    func integers(_ range: Range<Int>) -> Tensor<Device.Buffer> {
        Tensor(Region(.int32, start: range.lowerBound, count: range.count), of: memory)
    }

    /// Has some layers add only a share of what they compute, which the plan must have been made for.
    func setBranchShare(_ share: Float, of layers: [Int]) {
        for layer in layers { branchShares[layer] = share }
    }

    // MARK: Evaluation

    /// The sum of the batch's cross entropies, in nats.
    ///
    /// `visit` is given each block of rows' logits (rows, V) before they are overwritten.
    public func loss(
        _ batch: TokenBatch, visit: ((Range<Int>, Tensor<Device.Buffer>) -> Void)? = nil
    ) -> Double {
        load(batch)
        forward(Pass(model: self))
        return headLoss(visit)
    }

    /// The sum of the cross entropies of what the last norm has left.
    func headLoss(_ visit: ((Range<Int>, Tensor<Device.Buffer>) -> Void)? = nil) -> Double {
        forEachHeadBlock { rows, shape in
            let logits = self.logits(rows, shape)
            visit?(rows, logits)
            crossEntropy(of: logits, rows, gradientScale: nil)
        }
        engine.set(crossEntropy, to: 0)
        engine.addSum(of: values(plan.losses), to: crossEntropy)
        // A step that comes after it must not find it there.
        defer { engine.set(crossEntropy, to: 0) }
        return engine.read(crossEntropy)
    }

    /// The cross entropy of each token of the batch, in nats, 0 where nothing is predicted: (B, T).
    public func losses(of batch: TokenBatch) -> [Float] {
        _ = loss(batch)
        return rowLosses()
    }

    /// The cross entropy of each row, as they were computed last: (R).
    func rowLosses() -> [Float] {
        var losses = [Float](repeating: 0, count: plan.rows)
        var span = losses.mutableSpan
        engine.download(values(plan.losses), to: &span)
        return losses
    }

    // MARK: Training

    /// Computes the gradients of the batch's loss, times `scale`, and adds the loss to what ``takeLoss()`` returns.
    ///
    /// `scale` is 1 / the number of targets of the whole step, so that a step may be taken in parts; with
    /// `accumulate` the gradients are added to what is there, for which the plan must have been made. With a `teacher`
    /// the loss is what that makes of it.
    public func backward(
        _ batch: TokenBatch, scale: Float, accumulate: Bool, teacher: Teacher<Device>? = nil
    ) {
        let mixtures = layout.layers.count { if case .experts = $0.feedForward { true } else { false } }
        let factor = mixtures > 0 ? architecture.balanceFactor : nil
        let pass = Pass(model: self, accumulate: accumulate, countsLoad: factor != nil)
        teacher?.read(batch)
        load(batch)
        if factor != nil { engine.scale(values(plan.load), values(plan.load), factor: 0) }
        forward(pass)
        headBackward(
            scale: scale, teacher,
            goesOn: layout.finalNorm.isTrained || layout.lowestTrainedLayer < layout.layers.count, pass)
        engine.addSum(of: values(plan.losses), to: crossEntropy)
        if let factor {
            engine.balance(
                values(plan.balance), load: values(plan.load), rows: plan.rows * mixtures,
                factor: Float(factor) * scale * Float(batch.targetCount), addsTo: balanceLoss)
        }
        backward(below: layout.layers.count, hasHeadGradient: architecture.head.isTied, pass) { layer in
            let next = layer + 1 < layout.layers.count ? plan.layers[layer + 1].input : plan.output
            teacher?.teachHidden(values(plan.scratch.dStream), values(next), layer: layer, scale: scale)
        }
    }

    /// Computes the gradients of some layers and what is below them, from that of what leaves them, which lies in the pass's
    /// dStream.
    ///
    /// `hasHeadGradient` says whether that of a tied head lies where that of the embedding goes; `visit` is told of each layer
    /// when the gradient of what leaves it is there.
    func backward(
        below layer: Int, hasHeadGradient: Bool, _ pass: Pass<Device>, visit: (Int) -> Void = { _ in }
    ) {
        for index in (layout.lowestTrainedLayer..<layout.layers.count).reversed() where index < layer {
            visit(index)
            layout.layers[index].backward(plan.layers[index], pass)
        }
        if layout.embedding.isTrained {
            layout.embedding.backward(plan.embedding, isTied: hasHeadGradient, pass)
        }
    }

    /// Computes the gradient of the head alone, as if what the last norm has left depended on nothing, and adds the loss to
    /// what ``takeLoss(targets:)`` returns.
    func backwardOfHead(scale: Float, _ pass: Pass<Device>) {
        headBackward(scale: scale, nil, goesOn: false, pass)
        engine.addSum(of: values(plan.losses), to: crossEntropy)
    }

    /// The mean loss of all batches since it was last asked for, of which there were `targets` targets.
    ///
    /// It is the cross entropy, and where the configuration asks for it the loss that balances experts.
    public func takeLoss(targets: Int) -> Double {
        let loss = engine.read(crossEntropy) / Double(targets) + engine.read(balanceLoss)
        engine.set(crossEntropy, to: 0)
        engine.set(balanceLoss, to: 0)
        return loss
    }

    // MARK: Parts

    /// Computes everything up to the last norm.
    func forward(_ pass: Pass<Device>) {
        layout.embedding.forward(plan.layers.first?.input ?? plan.output, plan.embedding, pass)
        forward(from: 0, pass)
    }

    /// Computes everything from what enters a layer, which is there, up to the last norm.
    func forward(from layer: Int, _ pass: Pass<Device>) {
        var sum: ResidualSum?
        for index in layer..<layout.layers.count {
            sum = layout.layers[index].forward(plan.layers[index], adding: sum, pass)
        }
        layout.finalNorm.forward(plan.output, plan.finalNorm, adding: sum, pass)
    }

    /// Computes everything up to the last norm; `visit` is shown what leaves each layer: (R, C).
    func forward(_ pass: Pass<Device>, visit: (Int, Range<Int>) -> Void) {
        layout.embedding.forward(plan.layers.first?.input ?? plan.output, plan.embedding, pass)
        for index in layout.layers.indices {
            let sum = layout.layers[index].forward(plan.layers[index], adding: nil, pass)
            let stream = index + 1 < layout.layers.count ? plan.layers[index + 1].input : plan.output
            pass.add(sum, into: stream)
            visit(index, stream)
        }
        layout.finalNorm.forward(plan.output, plan.finalNorm, pass)
    }

    /// Computes everything up to what enters a layer, or leaves the last; returns where that lies: (R, C).
    func forwardToStream(enteringLayer layer: Int, _ pass: Pass<Device>) -> Range<Int> {
        layout.embedding.forward(plan.layers.first?.input ?? plan.output, plan.embedding, pass)
        var sum: ResidualSum?
        for index in 0..<layer {
            sum = layout.layers[index].forward(plan.layers[index], adding: sum, pass)
        }
        let stream = layer < layout.layers.count ? plan.layers[layer].input : plan.output
        if let sum { pass.add(sum, into: stream) }
        return stream
    }

    /// Logits, losses and their gradient, some rows at a time, so that no (R, V) matrix is kept; then, where it goes on,
    /// through the last norm.
    private func headBackward(
        scale: Float, _ teacher: Teacher<Device>?, goesOn: Bool, _ pass: Pass<Device>
    ) {
        let width = architecture.hiddenSize
        let dNorm = plan.scratch.dNorm
        forEachHeadBlock(of: teacher?.headRows) { rows, shape in
            let logits = self.logits(rows, shape)
            if let teacher {
                teacher.teach(
                    losses: values(plan.losses)[rows], logits: logits,
                    targets: integers(plan.targets)[rows], rows, transform: transform, gradientScale: scale)
            } else {
                crossEntropy(of: logits, rows, gradientScale: scale)
            }
            if goesOn {
                engine.linearBackward(
                    dx: values(dNorm)[rows.lowerBound * width..<rows.upperBound * width], dy: logits,
                    weight: weights(of: layout.head), shape: shape, adds: false)
            }
            engine.linearBackward(
                dWeight: pass.gradient(layout.head), dBias: nil, dy: logits, x: normedRows(rows),
                shape: shape, accumulate: pass.accumulate || rows.lowerBound > 0)
        }
        guard goesOn else { return }
        layout.finalNorm.backward(
            dx: plan.scratch.dStream, adds: false, dy: dNorm, x: plan.output, plan.finalNorm, pass)
    }

    /// Calls `body` with consecutive rows, as many at once as there is room for or `count`, and the head's shape for them.
    private func forEachHeadBlock(of count: Int? = nil, _ body: (Range<Int>, LinearShape) -> Void) {
        let height = count ?? plan.headRows
        for start in stride(from: 0, to: plan.rows, by: height) {
            let rows = start..<min(start + height, plan.rows)
            body(
                rows,
                LinearShape(
                    rows: rows.count, inputs: architecture.hiddenSize, outputs: architecture.vocabularySize))
        }
    }

    /// The logits of some rows: (rows, V).
    func logits(_ rows: Range<Int>, _ shape: LinearShape) -> Tensor<Device.Buffer> {
        logits(of: normedRows(rows), shape)
    }

    /// The logits of what a last norm has left of some rows: (rows, V).
    func logits(of normed: Tensor<Device.Buffer>, _ shape: LinearShape) -> Tensor<Device.Buffer> {
        let logits = values(plan.logits)[0..<shape.rows * shape.outputs]
        engine.linear(
            logits, normed, weight: weights(of: layout.head), bias: nil, shape: shape, adds: false)
        if !transform.isIdentity { engine.transformLogits(logits, transform: transform) }
        return logits
    }

    /// The losses of some rows; with `gradientScale` their logits become the gradient of the head's products.
    private func crossEntropy(
        of logits: Tensor<Device.Buffer>, _ rows: Range<Int>, gradientScale: Float?
    ) {
        engine.crossEntropy(
            losses: values(plan.losses)[rows], logits: logits, targets: integers(plan.targets)[rows],
            shape: RowShape(rows: rows.count, columns: architecture.vocabularySize), transform: transform,
            gradientScale: gradientScale)
    }

    private var transform: LogitTransform {
        LogitTransform(factor: architecture.head.factor, softCap: architecture.head.softCap)
    }

    /// The last norm's results for some rows: (rows, C).
    private func normedRows(_ rows: Range<Int>) -> Tensor<Device.Buffer> {
        let width = architecture.hiddenSize
        return values(plan.finalNorm.output)[rows.lowerBound * width..<rows.upperBound * width]
    }

    /// A batch's numbers on the device; what each token sees is narrowed to each layer's window.
    func load(_ batch: TokenBatch) {
        precondition(
            batch.batch == plan.batch && batch.sequenceLength == plan.sequenceLength,
            "the batch is not as planned")
        engine.upload(batch.tokens.span, to: integers(plan.tokens))
        engine.upload(batch.targets.span, to: integers(plan.targets))
        for (window, range) in plan.starts {
            var starts = batch.attentionStart
            if let window {
                for row in starts.indices {
                    starts[row] = max(starts[row], Int32(row % plan.sequenceLength - window + 1))
                }
            }
            engine.upload(starts.span, to: integers(range))
        }
        if let range = plan.embedding.positions {
            engine.upload(batch.positions.span, to: integers(range))
        }
        makeAngles(for: batch)
    }

    /// Has the tables of angles made again for the next batch.
    func forgetAngles() { longest = -1 }

    /// Makes the tables of angles, and makes them again where they depend on the longest document of a batch.
    private func makeAngles(for batch: TokenBatch) {
        let dependOnLength = plan.angles.contains { $0.rotary.dependsOnLength }
        let length = dependOnLength ? batch.longestDocument : 0
        guard length != longest else { return }
        longest = length
        for angles in plan.angles {
            let table = angles.rotary.table(length: plan.sequenceLength, longest: length)
            engine.upload(table.cosine, to: values(angles.cosine))
            engine.upload(table.sine, to: values(angles.sine))
        }
    }
}
