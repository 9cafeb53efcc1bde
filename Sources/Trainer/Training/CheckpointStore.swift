internal import Formats
internal import Foundation
internal import OrderedCollections

/// Where a run stands.
struct RunProgress: Codable, Sendable, Equatable {
    /// Steps of the run that are done.
    var step: Int
    /// The stage that it is in, from 0; it may have taken all of its steps.
    var stage: Int
    /// Where that stage stands.
    var inStage: StageProgress
    /// How many updates each operand that the stage trains has had by now, by its name.
    var ages: [String: Int]
    /// What the stages before have shown, and what all of them have, by source.
    var earlier: [SourceProgress], sources: [SourceProgress]
    /// What the evaluations so far have come to.
    var evaluations: EvaluationProgress
    /// How often new tokens were seen; nothing where there are none.
    var exposure: [UInt32]
    /// The last checkpoint that the run has kept by its own rules, perhaps this one; nil where this was kept because the
    /// run was stopped before the first.
    var goesBackTo: Int?
    /// How often the run has gone back.
    var rollbacks: Int
    /// How many targets a teacher has taught; nil where there is none.
    var taught: TaughtTargets?
}

/// What the evaluations of a run have come to.
package struct EvaluationProgress: Codable, Sendable, Equatable {
    /// What a set was found to be.
    package struct Finding: Codable, Sendable, Equatable {
        package var name: String, result: EvaluationResult
    }
    /// An evaluation of all sets.
    struct Evaluation: Codable, Sendable, Equatable {
        var step: Int, findings: [Finding]

        /// The bits per byte of the sets that have some.
        var bitsPerByte: [Double] { findings.compactMap(\.result.bitsPerByte) }
        /// Their mean; that of the losses where texts have no bytes.
        var mean: Double {
            let values = bitsPerByte.isEmpty ? findings.map(\.result.loss) : bitsPerByte
            return values.reduce(0, +) / Double(Swift.max(1, values.count))
        }
    }

    /// What the sets were before the first step, and when they were best after it.
    var first: Evaluation?, best: Evaluation?, last: Evaluation?
    /// How long the run waits for it to get better; nil for any time.
    var patience: Patience?
    /// What has ended the run before its last step; nil where nothing has.
    var end: RunEnd?
    /// The step at which the sets of the original domain were first where the parent has them; nil before that.
    var healedAt: Int?

    /// How far a set has come back to what the parent makes of it; nil where that is not known.
    func share(of set: String, beside parent: ParentYardstick?) -> HealedShare? {
        guard case .measured(_, let sets) = parent else { return nil }
        func find(_ evaluation: Evaluation?) -> Double? {
            evaluation?.findings.first { $0.name == set }?.result.bitsPerByte
        }
        guard let raw = find(first), let now = find(last),
            let own = sets.first(where: { $0.name == set })?.result.bitsPerByte
        else { return nil }
        return HealedShare(raw: raw, now: now, parent: own)
    }
}

/// Where the model lies that a run began with: what a checkpoint is exported as goes by it, and nothing else.
struct ModelPlace: Codable, Sendable, Equatable {
    /// Its path from the root on; nil for a model that was not written before it was trained.
    var path: String?
    /// Whether it has no weights, so that training began with random ones.
    var isBlank: Bool
}

/// What is kept of a run beside its output, so that it can go on after any end: `OUT.run/step-000200/`.
///
/// Each checkpoint is a folder that is whole or absent; the one before is removed only when the next is durable. It has
/// `weights/NAME` of every tensor that was trained so far, in float32 and as the model's files have it, and the moments of
/// what its stage trains. While a run is carried out it holds a lock on the folder. What reports are made of lies there,
/// too, and stays when the checkpoints go: ``RunRecord``, ``EventFile``.
final class CheckpointStore {
    /// The run's folder.
    let folder: String
    private let identity: RunIdentity
    private let model: ModelPlace
    private let lock: WritableFile
    private let freeSpace: @Sendable (String) -> Int?
    /// How many of the last checkpoints are kept, and which others are.
    private let count: Int
    private(set) var exempt: Set<Int> = []

    /// A checkpoint.
    struct Kept {
        /// Its folder.
        let path: String
        /// The run that it is of.
        let identity: RunIdentity
        /// Where that run stood.
        let progress: RunProgress
        /// Where its model lay; nil where nobody noted that.
        let model: ModelPlace?
        private let tensors: OrderedDictionary<String, TensorExpression>

        /// Reads a checkpoint's folder.
        ///
        /// - Parameters:
        ///   - path: the folder.
        ///   - isCompared: whether all of it is read through and compared with its checksums.
        ///   - failure: makes the error of the path and a reason.
        /// - Returns: the checkpoint.
        /// - Throws: ``UserFacingError`` when it is no checkpoint of a run, or damaged.
        static func read(
            _ path: String, isCompared: Bool = true,
            or failure: (_ path: String, _ reason: String) -> UserFacingError = UserFacingError.badRunState
        ) throws(UserFacingError) -> Kept {
            let (record, bytes): (Record, [UInt8])
            do { (record, bytes) = try Self.record(of: path) } catch { throw failure(path, "\(error)") }
            let tensors: OrderedDictionary<String, TensorExpression>
            do { tensors = try Checkpoint.open(path).tensors } catch {
                guard error.kind == .malformed else { throw failure(path, "\(error)") }
                throw .damagedCheckpoint(path, "its tensors are not what was written")
            }
            if isCompared { try CheckpointSums.check(path, record: bytes, tensors) }
            return Kept(
                path: path, identity: record.identity, progress: record.progress, model: record.model,
                tensors: tensors)
        }

        private static func record(of path: String) throws(UserFacingError) -> (Record, [UInt8]) {
            let bytes = try InputFile(path: Path.join(path, recordName)).bytes()
            if let version = try? JSONDecoder().decode(Record.Version.self, from: Data(bytes)).version,
                version != Record.version
            {
                throw UserFacingError(
                    .unsupported,
                    """
                    \(recordName) is of version \(version), which another build of the trainer has kept and can go on with; \
                    this one reads \(Record.version)
                    """)
            }
            guard let record = try? JSONDecoder().decode(Record.self, from: Data(bytes)),
                record.identity.stages.indices.contains(record.progress.stage)
            else { throw UserFacingError(.malformed, "\(recordName) is not what was written") }
            return (record, bytes)
        }

        /// The values of what was trained, by name.
        var masters: [String: TensorExpression] {
            tensors.reduce(into: [:]) { masters, entry in
                guard entry.key.hasPrefix(weightsPrefix) else { return }
                masters[String(entry.key.dropFirst(weightsPrefix.count))] = entry.value
            }
        }

        /// Refuses a checkpoint whose tensors are not a model's.
        ///
        /// - Throws: ``UserFacingError`` that names the first that is none, or of another shape.
        func check(against model: PretrainedModel) throws(UserFacingError) {
            for (name, tensor) in masters.sorted(by: { $0.key < $1.key }) {
                let own = model.checkpoint.tensors[name]
                guard tensor.type == .f32, tensor.shape == own?.shape else {
                    throw .checkpointOfAnother(path, model.checkpoint.path, tensor, name, own)
                }
            }
        }

        /// What the stage was asked to do that it was kept in.
        private var plan: StagePlan { identity.stages[progress.stage] }

        /// Refuses to be taken for a model where copied layers add only a share of what they compute.
        ///
        /// - Throws: ``UserFacingError`` that says after which step they add all.
        func checkIsModel() throws(UserFacingError) {
            guard plan.isInRamp(after: progress.inStage.step), let ramp = plan.ramp else { return }
            throw .inRamp(path: path, steps: ramp.steps)
        }

        /// Refuses to let another run begin with it whose settings it does not go with.
        ///
        /// - Parameter first: the run's first stage.
        /// - Throws: ``UserFacingError`` when its moments are of another kind, or it was trained with a rotary base that the
        ///   run does not have.
        func check(beginning first: StagePlan) throws(UserFacingError) {
            try checkIsModel()
            guard plan.moments == first.moments else {
                throw .otherMoments(path: path, kept: plan.moments.rawValue, asked: first.moments.rawValue)
            }
            if let theta = plan.ropeTheta, first.ropeTheta == nil {
                throw .otherRotaryBase(path: path, theta: theta)
            }
        }

        /// Refuses a model that has another tokenizer than the run's, or other values of what the run did not train, which are
        /// read through.
        ///
        /// - Throws: ``UserFacingError`` that says what is other.
        func checkValues(of model: Checkpoint) throws(UserFacingError) {
            var (now, then) = (try RunIdentity.files(of: model), identity.model)
            // Another rotary base, say, is no other model.
            (now[Configuration.fileName], then[Configuration.fileName]) = (nil, nil)
            guard now == then else { throw .otherBeginning(path, model.path, "its tokenizer") }
            // In the midst of its stages it is open what the run did not train.
            let trained = Set(masters.keys)
            guard RunIdentity.shapes(of: trained, in: model) == identity.trained else { return }
            guard try RunIdentity.values(ofAllBut: trained, in: model) == identity.frozen else {
                throw .otherBeginning(path, model.path, "tensors that the run did not train")
            }
        }

        /// The running average of an operand's values, one after the other; nil where none is kept.
        func average(of operand: String) -> TensorExpression? {
            tensors[RunningAverage<DefaultEngine>.prefix + operand]
        }

        /// One of both moments of an operand, as its run has kept it; nil where it has none.
        func moments(_ kind: String, of operand: String) -> TensorExpression? {
            tensors["\(kind)/\(operand)"]
        }

        /// Fills in the moments of the operands that are trained in both.
        ///
        /// - Parameters:
        ///   - state: the stage.
        ///   - all: whether it is the stage that was kept, of which all must be there, its running average among it; in another
        ///     the average begins anew.
        /// - Throws: ``UserFacingError`` when one is of another kind or size, or is not there and must be.
        func load<Device: Engine>(into state: TrainingState<Device>, all: Bool) throws(UserFacingError) {
            for (name, buffer, isPacked) in state.buffers
            where all || !name.hasPrefix(RunningAverage<Device>.prefix) {
                guard let tensor = tensors[name] else {
                    if all { throw .badRunState(path: path, reason: "it has no '\(name)'") }
                    continue
                }
                let type: ElementType = isPacked ? .u32 : .f32
                guard tensor.type == type, tensor.shape == [buffer.count] else {
                    throw .badRunState(
                        path: path,
                        reason: "tensor '\(name)' is not \(type.rawValue)[\(buffer.count)], as this run's is")
                }
                try state.model.engine.loadBits(tensor, into: buffer)
            }
        }

        /// How many updates the operands have had that are trained in both.
        func ages<Device: Engine>(of state: TrainingState<Device>) -> [String: Int] {
            progress.ages.filter { name, _ in state.model.layout.trained.contains { $0.name == name } }
        }
    }

    private struct Record: Codable {
        static let version = 4

        var version = Self.version
        var identity: RunIdentity
        var progress: RunProgress
        var model: ModelPlace?

        /// What every version has.
        struct Version: Decodable { var version: Int }
    }

    private static let recordName = "run.json"
    private static let lockName = ".lock"

    /// The store of the run that makes `output`; makes its folder.
    ///
    /// - Throws: ``UserFacingError`` when another process carries the run out, or `UserFacingError`.
    ///
    /// - Parameters:
    ///   - output: the run's output.
    ///   - identity: what the run is.
    ///   - model: where its model lies.
    ///   - count: how many of the last checkpoints are kept.
    ///   - freeSpace: the bytes that can be written to the disk of a path.
    init(
        output: String, identity: RunIdentity, model: ModelPlace, keeping count: Int,
        freeSpace: @escaping @Sendable (String) -> Int?
    ) throws(UserFacingError) {
        self.count = count
        folder = Self.folder(of: output)
        (self.identity, self.model) = (identity, model)
        self.freeSpace = freeSpace
        if !FileSystem.exists(folder) { try FileSystem.create(folder) }
        lock = try WritableFile(path: Path.join(folder, Self.lockName))
        guard lock.lock() else { throw UserFacingError.runBusy(folder: folder) }
    }

    // A run that took no step leaves no folder behind, one that is done only what reports are made of.
    deinit {
        guard lastStep == nil else { return }
        try? Self.removeSteps(in: folder)
        try? FileSystem.remove(Path.join(folder, Self.lockName))
        if (try? FileSystem.names(folder))?.isEmpty == true { try? FileSystem.remove(folder) }
    }

    /// The folder of the run that makes `output`.
    static func folder(of output: String) -> String { Path.absolute(output) + ".run" }

    /// The bytes of what is kept of the run that makes `output`.
    static func byteCount(of output: String) -> Int {
        let folder = folder(of: output)
        return stepNames(in: folder).reduce(0) { $0 + FileSystem.byteCount(of: Path.join(folder, $1)) }
    }

    /// The last checkpoint of the run that makes `output`, not compared with its checksums; nil when there is none, or it can't
    /// be read.
    static func kept(for output: String) -> Kept? {
        let folder = folder(of: output)
        return steps(in: folder).max().flatMap {
            try? Kept.read(path(in: folder, step: $0), isCompared: false)
        }
    }

    /// The last step that is kept, nil when none is.
    var lastStep: Int? { Self.steps(in: folder).max() }
    /// The steps that are kept, in order.
    var steps: [Int] { Self.steps(in: folder).sorted() }

    /// Keeps these checkpoints, however many come after them.
    func exempt(_ steps: Set<Int>) { exempt = steps }

    /// Keeps the run as it stands.
    ///
    /// - Parameters:
    ///   - state: the stage that it is in.
    ///   - masters: what was trained so far, in float32.
    ///   - progress: where the run stands.
    ///   - needed: an older checkpoint that stays for now; nil where none has to.
    /// - Throws: `UserFacingError` when there is no room; older checkpoints are then still there.
    func save<Device: Engine>(
        _ state: TrainingState<Device>, masters: [String: TensorExpression], _ progress: RunProgress,
        besides needed: Int?
    ) throws {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for name in masters.keys.sorted() { tensors[Self.weightsPrefix + name] = masters[name] }
        for (name, buffer, isPacked) in state.buffers {
            tensors[name] = try state.model.engine.tensor(
                name, type: isPacked ? .u32 : .f32, shape: [buffer.count], in: buffer)
        }
        try Self.write(tensors, identity, progress, model, in: folder, freeSpace: freeSpace)
        try removeOld(besides: needed)
    }

    /// Writes a checkpoint into a run's folder.
    ///
    /// - Parameters:
    ///   - tensors: what it holds, by the names that it has there.
    ///   - identity: the run.
    ///   - progress: where it stands.
    ///   - model: where its model lies.
    ///   - folder: the run's folder.
    ///   - freeSpace: the bytes that can be written to the disk of a path.
    /// - Throws: ``UserFacingError`` when there is no room.
    static func write(
        _ tensors: OrderedDictionary<String, TensorExpression>, _ identity: RunIdentity,
        _ progress: RunProgress, _ model: ModelPlace, in folder: String,
        freeSpace: @escaping @Sendable (String) -> Int?
    ) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let record = [UInt8](
            try encoder.encode(Record(identity: identity, progress: progress, model: model)))
        let checkpoint = Checkpoint(
            path: folder, tensors: tensors,
            auxiliaryFiles: [
                AuxiliaryFile(name: recordName, content: .bytes(record)),
                try CheckpointSums(record: record, tensors).file,
            ],
            metadata: [:])
        var options = WriteOptions(force: true, shardSize: .max, checksums: false)
        options.freeSpace = freeSpace
        let path = path(in: folder, step: progress.step)
        do { try CheckpointWriter(options: options).write(checkpoint, to: path) } catch {
            // What is there of it would take the room that others need.
            try? FileSystem.remove(Path.join(folder, ".\(Path.name(path)).partial"))
            throw error
        }
    }

    /// What the names of weights begin with in a checkpoint.
    static var weightsPrefix: String { "weights/" }

    /// Removes checkpoints that are neither among the last ones nor exempt.
    private func removeOld(besides needed: Int? = nil) throws(UserFacingError) {
        for step in steps.dropLast(count) where !exempt.contains(step) && step != needed {
            try FileSystem.remove(path(step: step))
        }
    }

    /// A checkpoint, the last where no step is named; nil when there is none.
    ///
    /// - Throws: ``UserFacingError`` when it is of a run with other settings, or is damaged.
    func kept(step: Int? = nil) throws(UserFacingError) -> Kept? {
        guard let step = step ?? lastStep else { return nil }
        let kept = try Kept.read(path(step: step))
        let differences = identity.differences(from: kept.identity, after: kept.progress)
        guard differences.isEmpty else { throw .otherRun(folder: folder, differences: differences) }
        return kept
    }

    /// Removes what is kept of the run.
    func removeSteps() throws(UserFacingError) { try Self.removeSteps(in: folder) }

    /// Removes the checkpoints after a step, so that the run goes on from it.
    ///
    /// - Throws: ``UserFacingError`` when there is none of that step.
    func goBack(to step: Int) throws(UserFacingError) {
        guard steps.contains(step) else { throw .noSuchStep(step, folder: folder, kept: steps) }
        for later in steps where later > step { try FileSystem.remove(path(step: later)) }
    }

    /// Removes what need not stay when the run is done.
    ///
    /// - Parameter keeping: whether the last checkpoints stay.
    /// - Throws: ``UserFacingError`` when one can't be removed.
    func finish(keeping: Bool) throws(UserFacingError) {
        if keeping { return try removeOld() }
        for step in steps where !exempt.contains(step) { try FileSystem.remove(path(step: step)) }
    }

    /// Removes what is kept of a run whose folder this is.
    static func removeSteps(in folder: String) throws(UserFacingError) {
        for name in stepNames(in: folder) { try FileSystem.remove(Path.join(folder, name)) }
    }

    /// The names of all checkpoints in a folder, those among them that were never whole.
    private static func stepNames(in folder: String) -> [String] {
        ((try? FileSystem.names(folder)) ?? []).filter { $0.hasPrefix("step-") || $0.hasPrefix(".step-") }
    }

    /// The names of the checkpoints in a folder that are whole, in order.
    static func checkpoints(in folder: String) -> [String] { steps(in: folder).sorted().map(stepName) }

    private static func steps(in folder: String) -> [Int] {
        stepNames(in: folder).compactMap {
            $0.hasPrefix("step-") ? Int($0.dropFirst("step-".count)) : nil
        }
    }

    private func path(step: Int) -> String { Self.path(in: folder, step: step) }

    private static func path(in folder: String, step: Int) -> String {
        Path.join(folder, stepName(step))
    }

    private static func stepName(_ step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
