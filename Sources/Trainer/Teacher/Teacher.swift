internal import Formats
internal import Models

/// A model whose predictions another learns from: nothing of it is trained, and its weights are kept as they are stored.
///
/// It reads a batch one sequence at a time, and only those in which it has something to teach; what its last norm leaves of
/// the rows that it teaches is kept until the model's head asks for the logits, block by block.
public final class Teacher<Device: Engine> {
    private let model: Transformer<Device>
    private let teaching: Teaching
    /// The teacher's token for each of the model's, negative where it has none: (V).
    private let tokens: [Int32]
    private let plan: TeacherPlan
    private let memory: Device.Buffer
    private let entropy: Device.Scalar, divergence: Device.Scalar, norm: Device.Scalar
    /// The rows of the batch that was read last that are taught, in order.
    private var rows: [Int] = []
    /// What was taught since ``takeFigures()``.
    private var taught = 0, targets = 0
    /// The sum over targets of the mean squares of the difference of hidden states since then.
    private var squares = 0.0
    /// Whether hidden states are compared in the step at hand.
    var comparesHidden = false

    /// A teacher; memory is taken here.
    ///
    /// - Parameters:
    ///   - model: the teacher, of which nothing is trained, planned for one sequence of the student's length.
    ///   - plan: where what it keeps of a batch lies.
    ///   - tokens: its token for each of the student's, negative where it has none.
    ///   - teaching: how much it counts, and where.
    /// - Throws: ``UserFacingError`` when there is not enough memory.
    init(
        _ model: Transformer<Device>, plan: TeacherPlan, tokens: [Int32], teaching: Teaching
    ) throws(UserFacingError) {
        let engine = model.engine
        memory = try engine.makeBuffer(count: plan.count)
        self.model = model
        self.plan = plan
        self.tokens = tokens
        self.teaching = teaching
        entropy = engine.makeScalar()
        divergence = engine.makeScalar()
        norm = engine.makeScalar()
        engine.upload(tokens.span, to: Tensor(plan.tokens, of: memory))
    }

    private var engine: Device { model.engine }

    /// How many rows of the student's head are computed at once.
    var headRows: Int { plan.headRows }

    /// Reads a batch: computes what the last norm leaves of the rows that are taught.
    func read(_ batch: TokenBatch) {
        rows = batch.taughtRows(tokens: tokens, on: teaching.text)
        (taught, targets) = (taught + rows.count, targets + batch.targetCount)
        var places = [Int32](repeating: -1, count: plan.rows)
        var (block, first) = (0, 0)
        for (index, row) in rows.enumerated() {
            if row / headRows != block { (block, first) = (row / headRows, index) }
            places[row] = Int32(index - first)
        }
        engine.upload(places.span, to: Tensor(plan.places, of: memory))
        if comparesHidden {
            let numbers = rows.map { Int32($0) }
            engine.upload(numbers.span, to: Tensor(plan.rowIndices, of: memory)[0..<rows.count])
        }
        var start = 0
        while start < rows.count {
            let sequence = rows[start] / plan.length
            let end = rows[start...].firstIndex { $0 / plan.length != sequence } ?? rows.count
            model.load(batch.sequence(sequence, tokens: tokens))
            let positions = rows[start..<end].map { Int32($0 % plan.length) }
            let indices = Tensor(plan.indices, of: memory)[0..<positions.count]
            engine.upload(positions.span, to: indices)
            let pass = Pass(model: model)
            if comparesHidden {
                model.forward(pass) { layer, stream in keepHidden(behind: layer, stream, start..<end) }
            } else {
                model.forward(pass)
            }
            keep(plan.states, of: model.plan.finalNorm.output, start..<end)
            start = end
        }
    }

    /// Keeps what leaves a layer of the rows that are taught, wherever it is compared.
    private func keepHidden(behind layer: Int, _ stream: Range<Int>, _ taught: Range<Int>) {
        for (place, parent) in (teaching.hidden?.parents ?? []).enumerated() where parent == layer {
            keep(plan.hidden[place], of: stream, taught)
        }
    }

    /// Keeps some rows of a sequence, those that `indices` names, as so many of the rows that are taught.
    private func keep(_ states: Region, of stream: Range<Int>, _ taught: Range<Int>) {
        let width = model.architecture.hiddenSize
        engine.embed(
            Tensor(states, of: memory)[taught.lowerBound * width..<taught.upperBound * width],
            table: model.values(stream), indices: Tensor(plan.indices, of: memory)[0..<taught.count],
            factor: 1, shape: RowShape(rows: taught.count, columns: width), adds: false)
    }

    /// Computes the losses of a block of the student's rows, of which the logits become the gradient.
    func teach(
        losses: Tensor<Device.Buffer>, logits: Tensor<Device.Buffer>, targets: Tensor<Device.Buffer>,
        _ block: Range<Int>, transform: LogitTransform, gradientScale: Float
    ) {
        let (entropies, divergences) = (
            Tensor(plan.entropies, of: memory)[block], Tensor(plan.divergences, of: memory)[block]
        )
        engine.distill(
            losses: losses, entropies: entropies, divergences: divergences, logits: logits, targets: targets,
            lesson: lesson(block), shape: RowShape(rows: block.count, columns: tokens.count),
            transform: transform, gradientScale: gradientScale)
        engine.addSum(of: entropies, to: entropy)
        engine.addSum(of: divergences, to: divergence)
    }

    /// What the teacher makes of a block of the student's rows.
    private func lesson(_ block: Range<Int>) -> Lesson<Device.Buffer> {
        let (width, vocabulary) = (model.architecture.hiddenSize, model.architecture.vocabularySize)
        let first = rows.firstIndex { $0 >= block.lowerBound } ?? rows.count
        let end = rows[first...].firstIndex { $0 >= block.upperBound } ?? rows.count
        let shape = LinearShape(rows: end - first, inputs: width, outputs: vocabulary)
        let logits =
            first == end
            ? model.values(model.plan.logits)[0..<0]
            : model.logits(of: Tensor(plan.states, of: memory)[first * width..<end * width], shape)
        return Lesson(
            logits: logits, columns: vocabulary, places: Tensor(plan.places, of: memory)[block],
            tokens: Tensor(plan.tokens, of: memory), weight: Float(teaching.weight),
            temperature: Float(teaching.temperature))
    }

    /// Adds to the gradient of what leaves a layer of the student, where that is compared: see ``HiddenTeaching``.
    ///
    /// - Parameters:
    ///   - dStream: the gradient, (R, C).
    ///   - stream: what leaves the layer, (R, C).
    ///   - layer: the layer, from 0.
    ///   - scale: what the loss of each target is multiplied by.
    func teachHidden(
        _ dStream: Tensor<Device.Buffer>, _ stream: Tensor<Device.Buffer>, layer: Int, scale: Float
    ) {
        guard comparesHidden, !rows.isEmpty, let hidden = teaching.hidden,
            let place = hidden.own.firstIndex(of: layer)
        else { return }
        let shape = RowShape(rows: rows.count, columns: model.architecture.hiddenSize)
        let indices = Tensor(plan.rowIndices, of: memory)[0..<rows.count]
        let difference = Tensor(plan.difference, of: memory)[0..<shape.count]
        engine.embed(difference, table: stream, indices: indices, factor: 1, shape: shape, adds: false)
        engine.add(
            difference, difference, Tensor(plan.hidden[place], of: memory)[0..<shape.count], factor: -1)
        engine.gradientNorm([difference], to: norm)
        let length = engine.read(norm)
        let share = 1 / Double(shape.columns * hidden.own.count)
        squares += share * length * length
        engine.embedBackward(
            dTable: dStream, dOut: difference, indices: indices,
            factor: Float(2 * hidden.weight * share) * scale, shape: shape, accumulate: true)
    }

    /// What it has taught since this was last asked.
    func takeFigures() -> TeacherFigures {
        var figures = TeacherFigures(
            crossEntropy: engine.read(entropy) / Double(max(1, targets)),
            divergence: taught == 0 ? nil : engine.read(divergence) / Double(taught),
            taught: taught, targets: targets)
        if comparesHidden, taught > 0 { figures.hidden = squares / Double(taught) }
        squares = 0
        engine.set(entropy, to: 0)
        engine.set(divergence, to: 0)
        (taught, targets) = (0, 0)
        return figures
    }
}

/// Where a teacher keeps what it makes of a batch, known before any memory is taken.
struct TeacherPlan: Sendable, Equatable {
    /// Rows of a batch, and of a sequence.
    let rows: Int, length: Int
    /// How many rows of the student's head are computed at once: as many as both models have room for.
    let headRows: Int
    /// What the last norm leaves of taught rows, (R, C); cross entropies and divergences, (R) each.
    let states: Region, entropies: Region, divergences: Region
    /// What leaves each of the layers that are compared, and the difference of one: (R, C) each; the rows that are taught: (R).
    let hidden: [Region], difference: Region, rowIndices: Region
    /// Which of the teacher's logits a row has, (R); the rows of a sequence that are taught, (T); its tokens, (V).
    let places: Region, indices: Region, tokens: Region
    /// How many words all of it takes.
    let count: Int

    /// Plans a teacher of some shape for a student's batches.
    init(
        _ teacher: Architecture, _ its: ActivationPlan, student: Architecture, _ own: ActivationPlan,
        compared: Int = 0
    ) {
        (rows, length, headRows) = (own.rows, own.sequenceLength, min(own.headRows, its.headRows))
        var memory = MemoryPlanner()
        func take(_ precision: Precision, _ count: Int) -> Region {
            Region(precision, start: memory.take(count).lowerBound, count: count)
        }
        states = take(.f32, own.rows * teacher.hiddenSize)
        (entropies, divergences) = (take(.f32, own.rows), take(.f32, own.rows))
        (places, indices) = (take(.int32, own.rows), take(.int32, own.sequenceLength))
        tokens = take(.int32, student.vocabularySize)
        let count = own.rows * teacher.hiddenSize
        hidden = (0..<compared).map { _ in take(.f32, count) }
        difference = take(.f32, compared == 0 ? 0 : count)
        rowIndices = take(.int32, compared == 0 ? 0 : own.rows)
        self.count = memory.count
    }
}
