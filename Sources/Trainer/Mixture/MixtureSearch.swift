internal import Formats

/// Carries out the trials of a search, one after the other.
///
/// What a trial has found is kept in `OUT.run/trials.json` under the identity of its run (model, data, settings), so that
/// a search that was stopped, or has other shares, tries nothing twice.
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
    private let options: RunOptions
    private let first: PreparedJob

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
        (self.request, self.model, self.output, self.options) = (request, model, output, options)
        first = try Self.prepared(request, request.shares[0], model, output, options, nil, isCancelled)
        warnings = first.model.notes + first.evaluations.flatMap(\.warnings)
        (memory, tokens) = (first.memory, first.steps * first.stages[0].tokensPerStep)
        try first.checkMemory()
    }

    private static func prepared(
        _ request: MixtureRequest, _ share: Double, _ model: String, _ output: String, _ options: RunOptions,
        _ texts: SourceCache?, _ isCancelled: () -> Bool
    ) throws -> PreparedJob {
        // Nothing is ever written there.
        try PreparedJob(
            request.trial(share), on: model, to: Path.join(CheckpointStore.folder(of: output), "model"),
            options: options, texts: texts, isCancelled: isCancelled)
    }

    /// About how many seconds one trial takes, without its evaluations.
    public func expectedSeconds() throws -> Double? { try first.expectedSeconds() }

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
        var record = Record()
        if FileSystem.exists(path) {
            do { record = try JSON.read(path: path).decoded(as: Record.self) } catch {
                throw UserFacingError.badRunState(path: path, reason: "\(error)")
            }
        }
        let weights = try RunIdentity.values(ofAllBut: [], in: first.model.checkpoint)
        let trials = try request.shares.enumerated().map { index, share in
            let prepared =
                index == 0
                ? first
                : try Self.prepared(request, share, model, output, options, first.texts, isCancelled)
            let name = try Self.name(of: prepared, weights: weights)
            if let known = record.trials[name] { return known }
            let trial = try MixtureTrial(prepared, share: share, isCancelled: isCancelled) { step in
                progress(index, step)
            }
            record.trials[name] = trial
            try AtomicFile(path: path).publish(JSON(encoding: record).serialized() + [UInt8(ascii: "\n")])
            return trial
        }
        let proposal = MixtureProposal(request, trials)
        if let recipe = proposal.recipe(model: HubCache.isName(model) ? model : Path.absolute(model)) {
            try AtomicFile(path: output).publish(Array(recipe.utf8))
        }
        return proposal
    }

    /// What decides a trial, as one name: the model's values, the data, the settings, and the sets by which it is judged.
    private static func name(of prepared: PreparedJob, weights: String?) throws -> String {
        let identity = Identity(
            run: try prepared.identity(), weights: weights, sets: prepared.evaluations.map(\.sha256))
        return String(FileDigest.sha256(try JSON(encoding: identity).serialized(indent: nil)).prefix(32))
    }

    private struct Identity: Codable {
        var run: RunIdentity
        var weights: String?
        var sets: [String]
    }

    /// The trials that are done, by what decides them.
    private struct Record: Codable {
        var format = "model-surgery trials 1"
        var trials: [String: MixtureTrial] = [:]
    }
}
