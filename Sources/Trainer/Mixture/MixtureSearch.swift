internal import Formats

/// Carries out the trials of a search, one after the other.
///
/// What a trial has found is kept in `OUT.run/trials.json` under the identity of its run (model, data, settings, sets), each set
/// by its SHA-256, so that a search that was stopped, has other shares or calls its sets otherwise tries nothing twice.
public struct MixtureSearch {
    /// What its user should know before it begins.
    public let warnings: [String]
    /// What a trial takes.
    public let memory: MemoryNeed
    /// Tokens of a trial.
    public let tokens: Int
    private let request: MixtureRequest
    private let model: String
    private let output: String
    /// The trials, in the order of the shares.
    private let prepared: [PreparedJob]

    private static let recordName = "trials.json"

    /// Opens the model and the texts.
    ///
    /// - Parameters:
    ///   - request: what is wanted.
    ///   - model: the model's folder.
    ///   - output: the file of the proposal.
    ///   - options: how many threads compute, and whether the output is replaced.
    ///   - isCancelled: asked while tokens are counted; true stops.
    /// - Throws: a `UserFacingError` that names the file or setting and what would be right.
    public init(
        _ request: MixtureRequest, on model: String, to output: String, options: RunOptions,
        isCancelled: () -> Bool = { false }
    ) throws {
        try request.check()
        if FileSystem.exists(output), !options.force { throw UserFacingError.exists(path: output) }
        try TextPaths.check(output, apartFrom: request.job.inputs + [model])
        (self.request, self.model, self.output) = (request, model, output)
        // All are planned before one begins: what can't be run is refused, and told, now.
        var prepared: [PreparedJob] = []
        for share in request.shares {
            // Nothing is ever written there.
            let folder = Path.join(CheckpointStore.folder(of: output), "model")
            prepared.append(
                try PreparedJob(
                    request.trial(share), on: model, to: folder, options: options,
                    texts: prepared.first?.texts,
                    isCancelled: isCancelled))
        }
        self.prepared = prepared
        warnings = Self.told(
            zip(request.shares, prepared).map { share, trial in
                (share: share, warnings: trial.warnings + trial.evaluations.flatMap(\.warnings))
            })
        let first = prepared[0]
        (memory, tokens) = (first.memory, first.steps * first.stages[0].tokensPerStep)
        try first.checkMemory()
    }

    /// The warnings of all trials, each once; before one that is not of all stands the share whose it is.
    private static func told(_ trials: [(share: Double, warnings: [String])]) -> [String] {
        var seen: Set<String> = []
        return trials.flatMap { trial in
            trial.warnings.filter { seen.insert($0).inserted }.map { warning in
                let isOfAll = trials.allSatisfy { $0.warnings.contains(warning) }
                return isOfAll ? warning : "at the share \(Units.plain(trial.share)): \(warning)"
            }
        }
    }

    /// About how many seconds one trial takes, without its evaluations.
    public func expectedSeconds() throws -> Double? { try prepared[0].expectedSeconds() }

    /// Tries every share and says what follows; writes the recipe where something does.
    ///
    /// - Parameters:
    ///   - isCancelled: asked often; true stops, and keeps the trials that are done.
    ///   - progress: told the trial, from 0, and how many of its steps are done.
    /// - Returns: what the trials say.
    /// - Throws: ``UserFacingError`` when it was stopped, or a file can't be read or written.
    public func callAsFunction(
        isCancelled: () -> Bool, progress: (_ trial: Int, _ step: Int) -> Void
    ) throws -> MixtureProposal {
        let folder = CheckpointStore.folder(of: output)
        if !FileSystem.exists(folder) { try FileSystem.create(folder) }
        let path = Path.join(folder, Self.recordName)
        var record = try Record(path: path)
        let weights = try RunIdentity.values(ofAllBut: [], in: prepared[0].model.checkpoint)
        var trials: [MixtureTrial] = []
        do {
            for index in prepared.indices {
                trials.append(
                    try trial(index, weights, &record, path, isCancelled) { progress(index, $0) })
            }
        } catch let error as UserFacingError {
            guard error.isInterruption else { throw error }
            throw UserFacingError.interrupted(
                trials.isEmpty
                    ? " before a trial was done; begin again"
                    : " after \(trials.count) of \(request.shares.count) trials, which are kept; the same command goes on"
            )
        }
        let proposal = MixtureProposal(request, trials)
        if let recipe = proposal.recipe(model: HubCache.isName(model) ? model : Path.absolute(model)) {
            try AtomicFile(path: output).publish(Array(recipe.utf8))
        }
        return proposal
    }

    /// A trial by its number, as it was kept, or carried out now and kept.
    private func trial(
        _ index: Int, _ weights: String?, _ record: inout Record, _ path: String,
        _ isCancelled: () -> Bool, _ progress: (_ step: Int) -> Void
    ) throws -> MixtureTrial {
        let prepared = prepared[index]
        let sets = prepared.evaluations.map { (name: $0.name, sha256: $0.sha256) }
        let name = try Self.name(of: prepared, weights: weights, sets: sets.map(\.sha256))
        if let known = record.trials[name] {
            guard let trial = known.called(sets.map { (old: $0.sha256, new: $0.name) }) else {
                throw UserFacingError.badTrials(
                    path: path, reason: "the trial \(name) lacks what was measured")
            }
            return trial
        }
        let trial = try MixtureTrial(
            prepared, share: request.shares[index], isCancelled: isCancelled, progress: progress)
        record.trials[name] = trial.called(sets.map { (old: $0.name, new: $0.sha256) })
        try AtomicFile(path: path).publish(JSON(encoding: record).serialized() + [UInt8(ascii: "\n")])
        return trial
    }

    /// What decides a trial, as one name: the model's values, the data, the settings, and the sets by which it is judged,
    /// whatever they are called and in whatever order.
    private static func name(of prepared: PreparedJob, weights: String?, sets: [String]) throws -> String {
        let identity = Identity(
            run: try prepared.identity().comparable, weights: weights, sets: sets.sorted())
        return String(FileDigest.sha256(try JSON(encoding: identity).serialized(indent: nil)).prefix(32))
    }

    private struct Identity: Codable {
        var run: RunIdentity
        var weights: String?
        var sets: [String]
    }

    /// The trials that are done, by what decides them; their sets are called by their SHA-256.
    private struct Record: Codable {
        static let format = "model-surgery trials 2"
        var format = Self.format
        var trials: [String: MixtureTrial] = [:]

        /// What a file has; nothing where there is none.
        init(path: String) throws {
            guard FileSystem.exists(path) else { return }
            do { self = try JSON.read(path: path).decoded(as: Record.self) } catch {
                throw UserFacingError.badTrials(path: path, reason: "\(error)")
            }
            guard format == Self.format else {
                throw UserFacingError.badTrials(
                    path: path, reason: "its format is '\(format)', and '\(Self.format)' is read")
            }
        }
    }
}

extension UserFacingError {
    /// What was kept of trials can't be read.
    fileprivate static func badTrials(path: String, reason: String) -> Self {
        Self(.malformed, "\(path): \(reason); remove it to try all shares again")
    }
}
