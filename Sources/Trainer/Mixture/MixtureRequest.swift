public import Formats

/// A search for the share of the new domain with which a budget of tokens is spent best.
///
/// Short runs of the model at hand, each at another share, show what becomes of the new domain and of the original one;
/// a ``MixtureLaw`` of each set carries that to the budget.
public struct MixtureRequest: Sendable {
    /// What is to be trained: data, replay and sets, rates and all that decides a run but its length and schedule.
    ///
    /// Weights count within `data` and within `replay`.
    public var job: TrainingJob
    /// Tokens that the run proper is to train on.
    public var budget: Int
    /// The shares of the new domain that are tried.
    public var shares = Self.usualShares
    /// Optimizer steps of a trial.
    public var steps = Self.usualSteps
    /// By how much the original domain may be worse than with the share that is best for it, as a part of its bits per
    /// byte.
    public var tolerance = Self.usualTolerance

    /// Five shares, the fewest that a law can be fitted on.
    public static let usualShares = [0.1, 0.3, 0.5, 0.7, 0.9]
    /// 100 steps.
    public static let usualSteps = 100
    /// A hundredth.
    public static let usualTolerance = 0.01

    /// A search.
    public init(_ job: TrainingJob, budget: Int) { (self.job, self.budget) = (job, budget) }

    /// Refuses what can't be.
    ///
    /// - Parameter prefix: what stands before a parameter's name in messages.
    /// - Throws: ``UserFacingError`` that names the parameter.
    public func check(prefix: String = "") throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        let unusable = [
            ("ids", job.ids != nil), ("from-scratch", job.fromScratch), ("from", job.from != nil),
            ("stages", !job.stages.isEmpty), ("teacher", job.teacher != nil),
            ("distil-rows", job.distilRows != nil), ("seam ramp", job.seam != .plain),
            ("ramp-share", job.rampShare != TrainingJob().rampShare),
        ]
        if let name = unusable.first(where: \.1)?.0 {
            throw refuse(
                "\(prefix)\(name) can't be tried: a trial is a short run on texts, from the model as it is; leave it out"
            )
        }
        for (name, sources) in [("data", job.data), ("replay", job.replay)] where sources.isEmpty {
            throw refuse(
                "a mixture has a new domain (\(prefix)data) and the original one (\(prefix)replay); \(prefix)\(name) is missing"
            )
        }
        if let pipe = job.files.first(where: TextPaths.isPipe) {
            throw refuse(
                """
                \(pipe == "-" ? "standard input" : pipe) can be read only once; every trial reads it, and so does the run that the \
                recipe describes. Give a file
                """)
        }
        let most = 1_000_000_000_000
        guard 1...most ~= budget else {
            throw refuse("\(prefix)budget must be from 1 to \(Units.grouped(most)) tokens, not \(budget)")
        }
        guard Set(shares).count >= 5 else {
            throw refuse("\(prefix)shares needs five different ones at least, for a law has seven numbers")
        }
        guard shares.allSatisfy({ 0.001...0.999 ~= $0 }) else {
            throw refuse("\(prefix)shares must be from 0.001 to 0.999, as in 0.1 0.3 0.5 0.7 0.9")
        }
        guard 8...most ~= steps else {
            throw refuse("\(prefix)trial-steps must be from 8 to \(Units.grouped(most)), not \(steps)")
        }
        guard 0...1 ~= tolerance else {
            throw refuse("\(prefix)tolerance must be from 0 to 1, not \(tolerance)")
        }
        let advice =
            "call it as the replayed source is called, as in \(prefix)replay en=a.jsonl \(prefix)eval en=b.jsonl ko=c.jsonl"
        guard !job.healingSets.isEmpty else {
            throw refuse("no set of \(prefix)eval is of the original domain; \(advice)")
        }
        guard !newSets.isEmpty else {
            throw refuse(
                "every set of \(prefix)eval is of the original domain; give one of the new domain, too")
        }
        try proposed(0.5).check(prefix: prefix)
    }

    /// The sets of the new domain.
    var newSets: [String] { job.eval.map(\.name).filter { !job.healingSets.contains($0) } }

    /// The job with a share of the new domain, the weights within either side as they were.
    func mixed(_ share: Double) -> TrainingJob {
        func scaled(_ sources: [TextSource], to part: Double) -> [TextSource] {
            let whole = sources.reduce(0) { $0 + $1.weight }
            return sources.map {
                var source = $0
                source.weight *= part / whole
                return source
            }
        }
        var job = job
        (job.data, job.replay) = (scaled(job.data, to: share), scaled(job.replay, to: 1 - share))
        return job
    }

    /// The trial at a share: a constant rate after the warm-up, so that its stops are those of longer runs, and no parent, for
    /// only the model at hand is evaluated.
    func trial(_ share: Double) -> TrainingJob {
        var job = mixed(share)
        (job.steps, job.tokens, job.epochs) = (steps, nil, nil)
        job.keepRate()
        (job.parent, job.noParent, job.noTensorboard, job.checkpointEvery) = (nil, true, true, 0)
        return job
    }

    /// The run proper at a share.
    func proposed(_ share: Double) -> TrainingJob {
        var job = mixed(share)
        (job.steps, job.tokens, job.epochs) = (nil, budget, nil)
        return job
    }
}
