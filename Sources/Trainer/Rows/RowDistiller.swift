internal import Formats
internal import Models

/// The same text as a batch's in the tokens that a model had before, and where tokens of both readings end.
public struct OldTokens: Sendable, Equatable {
    /// The tokens, and the first position that each sees: (B, T).
    var tokens: [Int32], attentionStart: [Int32]
    /// The rows of the batch that are compared, and with which rows of this: (P).
    var own: [Int32], old: [Int32]
}

/// Computes the gradients of new rows from what a model makes of a text in its old tokens: see ``RowDistillation``.
///
/// R rows of a batch have C channels, P of them are compared.
final class RowDistiller<Device: Engine> {
    private let model: Transformer<Device>
    private let layer: Int
    private let plan: Plan
    private let memory: Device.Buffer
    private let norm: Device.Scalar

    /// What it keeps of a batch.
    struct Plan: Sendable {
        /// What both readings leave behind the layer: (P, C), and the rows: (P); P is R at most.
        let own: Region, old: Region, rows: Region
        /// How many words all of it takes.
        let count: Int

        init(rows: Int, width: Int) {
            var memory = MemoryPlanner()
            func take(_ precision: Precision, _ count: Int) -> Region {
                Region(precision, start: memory.take(count).lowerBound, count: count)
            }
            (own, old) = (take(.f32, rows * width), take(.f32, rows * width))
            self.rows = take(.int32, rows)
            count = memory.count
        }
    }

    /// A distiller of a model's rows, whose readings go through so many layers.
    ///
    /// - Throws: ``UserFacingError`` when there is not enough memory.
    init(_ model: Transformer<Device>, layer: Int) throws(UserFacingError) {
        (self.model, self.layer) = (model, layer)
        plan = Plan(rows: model.plan.rows, width: model.architecture.hiddenSize)
        memory = try model.engine.makeBuffer(count: plan.count)
        norm = model.engine.makeScalar()
    }

    /// Computes the gradients of a batch's loss.
    ///
    /// The mean square of the difference moves rows of the embedding. The mean cross entropy moves those of a head of its own, and
    /// does not go through the layers.
    ///
    /// - Returns: what the loss is made of.
    func backward(_ batch: TokenBatch) -> RowFigures {
        guard let before = batch.old else { preconditionFailure("a batch of snippets has both readings") }
        let (engine, pass) = (model.engine, Pass(model: model))
        let shape = RowShape(rows: before.own.count, columns: model.architecture.hiddenSize)
        let (own, old) = (
            Tensor(plan.own, of: memory)[0..<shape.count], Tensor(plan.old, of: memory)[0..<shape.count]
        )
        model.load(batch.inOldTokens(before))
        gather(old, of: model.forwardToStream(enteringLayer: layer, pass), at: before.old, shape)
        model.load(batch)
        gather(own, of: model.forwardToStream(enteringLayer: layer, pass), at: before.own, shape)
        engine.add(own, own, old, factor: -1)
        engine.gradientNorm([own], to: norm)
        let length = engine.read(norm)
        var figures = RowFigures(meanSquare: length * length / Double(shape.count), places: shape.rows)
        if !model.architecture.head.isTied, model.layout.head.isTrained {
            let targets = max(1, batch.targetCount)
            model.forward(from: layer, pass)
            model.backwardOfHead(scale: 1 / Float(targets), pass)
            figures.crossEntropy = model.takeLoss(targets: targets)
        }
        // `rows` has those of the batch still.
        engine.embedBackward(
            dTable: model.values(model.plan.scratch.dStream), dOut: own,
            indices: Tensor(plan.rows, of: memory)[0..<shape.rows], factor: 2 / Float(shape.count),
            shape: shape,
            accumulate: false)
        model.backward(below: layer, hasHeadGradient: false, pass)
        return figures
    }

    /// out(P, C) = some rows of a stream (R, C).
    private func gather(
        _ out: Tensor<Device.Buffer>, of stream: Range<Int>, at rows: [Int32], _ shape: RowShape
    ) {
        let indices = Tensor(plan.rows, of: memory)[0..<shape.rows]
        model.engine.upload(rows.span, to: indices)
        model.engine.embed(
            out, table: model.values(stream), indices: indices, factor: 1, shape: shape, adds: false)
    }
}

extension TokenBatch {
    /// The same batch in the tokens that the model had before; nothing is predicted.
    fileprivate func inOldTokens(_ before: OldTokens) -> TokenBatch {
        var batch = TokenBatch(
            batch: self.batch, sequenceLength: sequenceLength, tokens: before.tokens,
            targets: [Int32](repeating: -1, count: before.tokens.count))
        batch.attentionStart = before.attentionStart
        return batch
    }
}
