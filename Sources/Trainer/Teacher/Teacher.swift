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
    private let entropy: Device.Scalar, divergence: Device.Scalar
    /// The rows of the batch that was read last that are taught, in order.
    private var rows: [Int] = []
    /// What was taught since ``takeFigures()``.
    private var taught = 0, targets = 0

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
        let width = model.architecture.hiddenSize
        var start = 0
        while start < rows.count {
            let sequence = rows[start] / plan.length
            let end = rows[start...].firstIndex { $0 / plan.length != sequence } ?? rows.count
            model.load(batch.sequence(sequence, tokens: tokens))
            model.forward(Pass(model: model))
            let positions = rows[start..<end].map { Int32($0 % plan.length) }
            let indices = Tensor(plan.indices, of: memory)[0..<positions.count]
            engine.upload(positions.span, to: indices)
            engine.embed(
                Tensor(plan.states, of: memory)[start * width..<end * width],
                table: model.values(model.plan.finalNorm.output), indices: indices, factor: 1,
                shape: RowShape(rows: end - start, columns: width), adds: false)
            start = end
        }
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

    /// What it has taught since this was last asked.
    func takeFigures() -> TeacherFigures {
        let figures = TeacherFigures(
            crossEntropy: engine.read(entropy) / Double(max(1, targets)),
            divergence: taught == 0 ? nil : engine.read(divergence) / Double(taught),
            taught: taught, targets: targets)
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
    /// Which of the teacher's logits a row has, (R); the rows of a sequence that are taught, (T); its tokens, (V).
    let places: Region, indices: Region, tokens: Region
    /// How many words all of it takes.
    let count: Int

    /// Plans a teacher of some shape for a student's batches.
    init(_ teacher: Architecture, _ its: ActivationPlan, student: Architecture, _ own: ActivationPlan) {
        (rows, length, headRows) = (own.rows, own.sequenceLength, min(own.headRows, its.headRows))
        var memory = MemoryPlanner()
        func take(_ precision: Precision, _ count: Int) -> Region {
            Region(precision, start: memory.take(count).lowerBound, count: count)
        }
        states = take(.f32, own.rows * teacher.hiddenSize)
        (entropies, divergences) = (take(.f32, own.rows), take(.f32, own.rows))
        (places, indices) = (take(.int32, own.rows), take(.int32, own.sequenceLength))
        tokens = take(.int32, student.vocabularySize)
        count = memory.count
    }
}
