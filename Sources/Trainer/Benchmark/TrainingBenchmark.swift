internal import Formats
internal import Foundation
public import Models

/// What training costs on this machine, measured.
public struct TrainingBenchmark: Sendable {
    /// The model.
    public var model: DescribedModel
    /// Sequences computed at once, and tokens of each.
    public var batch: Int, length: Int
    /// Steps that are timed, after one that is not.
    public var steps: Int
    /// How many threads compute.
    public var threads: Int
    /// What the backward pass computes again.
    public var recomputation: Recomputation
    /// How the optimizer keeps its moments, and gradients are kept until it takes them.
    public var moments: MomentPrecision, gradients: GradientPrecision

    /// A benchmark.
    public init(
        model: DescribedModel, batch: Int, length: Int, steps: Int, threads: Int,
        recomputation: Recomputation, moments: MomentPrecision, gradients: GradientPrecision
    ) {
        self.model = model
        self.batch = batch
        self.length = length
        self.steps = steps
        self.threads = threads
        self.recomputation = recomputation
        self.moments = moments
        self.gradients = gradients
    }

    /// What was measured.
    public struct Report: Encodable, Sendable {
        /// Trained parameters.
        public let parameters: Int
        /// The median step's tokens a second, and tokens for each second of all threads' processor time.
        public let tokensPerSecond: Double, tokensPerCPUSecond: Double
        /// The rate of single-precision matrix products on the model's own shapes, all threads together.
        public let sgemmGflops: Double
        /// The share of that rate which a whole step's matrix products of weights would have needed.
        public let shareOfSgemm: Double
        /// The most memory that the process has held.
        public let peakMemoryBytes: Int
        /// The kernels that OpenBLAS runs.
        public let blasCore: String
        /// How many threads computed.
        public let threads: Int
        /// Seconds of an average step by kind of operation.
        public let operations: [String: Double]

        enum CodingKeys: String, CodingKey {
            case parameters, threads, operations
            case tokensPerSecond = "tokens_per_second"
            case tokensPerCPUSecond = "tokens_per_cpu_second"
            case sgemmGflops = "sgemm_gflops"
            case shareOfSgemm = "share_of_sgemm"
            case peakMemoryBytes = "peak_memory_bytes"
            case blasCore = "blas_core"
        }
    }

    /// Measures; weights and tokens are random.
    ///
    /// - Throws: ``UserFacingError`` when there is too little memory or no OpenBLAS.
    public func run() throws -> Report {
        let engine = try DefaultEngine(threads: threads)
        let layout = try ParameterLayout(
            model.architecture, naming: TensorNaming(model.family, names: []),
            storage: ParameterLayout.Storage(gradients: gradients.precision))
        var job = TrainingJob()
        (job.steps, job.batch, job.length, job.lr, job.embeddingLr) = (steps + 1, batch, length, 1e-4, 1e-4)
        (job.schedule, job.moments, job.gradients) = (.constant, moments, gradients)
        job.recompute = recomputation
        var settled = SettledValues()
        let plan = StagePlan(job, &settled)
        let healing = try TrainingState(
            plan, model.architecture, layout: layout,
            data: RandomTokens(vocabulary: model.architecture.vocabularySize, length: length), on: engine)
        healing.model.initialize(deviation: 0.02, seed: 0)
        _ = try healing.takeStep()
        let before = engine.operationSeconds
        let cpuBefore = ProcessUsage.cpuSeconds
        var seconds: [Double] = []
        for _ in 0..<steps { seconds.append(try healing.takeStep().seconds) }
        let cpu = ProcessUsage.cpuSeconds - cpuBefore
        let operations = engine.operationSeconds.map { kind, total in
            (kind.rawValue, (total - (before[kind] ?? 0)) / Double(steps))
        }
        let median = seconds.sorted()[seconds.count / 2]
        let tokens = Double(batch * length)
        let products = layout.products(rows: batch * length)
        let rate = engine.productRate(of: products)
        let flops = products.trainingFlops
        return Report(
            parameters: layout.parameterCount, tokensPerSecond: tokens / median,
            tokensPerCPUSecond: tokens * Double(steps) / cpu, sgemmGflops: rate / 1e9,
            shareOfSgemm: flops / median / rate, peakMemoryBytes: ProcessUsage.peakMemoryBytes,
            blasCore: engine.blasCore, threads: threads,
            operations: Dictionary(uniqueKeysWithValues: operations))
    }
}

/// Rows of random tokens.
private struct RandomTokens: TrainingData {
    let vocabulary: Int
    let length: Int
    private var generator = SplitMix64(seed: 7)

    init(vocabulary: Int, length: Int) {
        self.vocabulary = vocabulary
        self.length = length
    }

    var sources: [SourceProgress] { [] }
    var position: DataPosition { DataPosition() }

    mutating func move(to position: DataPosition) {}
    mutating func begin(at position: DataPosition) {}

    mutating func next(_ count: Int) -> TokenBatch {
        let tokens = (0..<count * length).map { _ in Int32(generator.next() % UInt64(vocabulary)) }
        return TokenBatch(rows: tokens[...], sequenceLength: length)
    }
}
