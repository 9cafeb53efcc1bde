internal import Formats
internal import Foundation
internal import OrderedCollections

/// What is kept of a run beside its output, so that it can go on after any end: `OUT.run/step-000200/`.
///
/// Each checkpoint is a folder that is whole or absent; the one before is removed only when the next is durable.
/// While a run is carried out it holds a lock on the folder. What reports are made of lies there, too, and stays when
/// the checkpoints go: ``RunRecord``, ``EventFile``.
final class RunStore {
    /// The run's folder.
    let folder: String
    private let identity: RunIdentity
    private let lock: WritableFile

    private let freeSpace: @Sendable (String) -> Int?

    private struct Record: Codable {
        var version = 2
        var identity: RunIdentity
        var progress: RunProgress
    }

    private static let recordName = "run.json"
    private static let lockName = ".lock"

    /// The store of the run that makes `output`; makes its folder.
    ///
    /// - Throws: ``UserFacingError`` when another process carries the run out, or `UserFacingError`.
    init(
        output: String, identity: RunIdentity, freeSpace: @escaping @Sendable (String) -> Int?
    ) throws {
        folder = Self.folder(of: output)
        self.identity = identity
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

    /// The plan of the run that was kept for `output` and its last step; nil when none was, or it can't be read.
    static func kept(for output: String) -> (plan: HealingPlan, step: Int)? {
        let folder = folder(of: output)
        guard let step = steps(in: folder).max(),
            let bytes = try? InputFile(path: Path.join(path(in: folder, step: step), recordName)).bytes(),
            let record = try? JSONDecoder().decode(Record.self, from: Data(bytes))
        else { return nil }
        return (record.identity.plan, step)
    }

    /// The last step that is kept, nil when none is.
    var lastStep: Int? { Self.steps(in: folder).max() }

    /// Keeps the run as it stands.
    ///
    /// - Throws: `UserFacingError` when there is no room; older checkpoints are then still there.
    func save<Device: Engine>(_ run: Healing<Device>) throws {
        let older = Self.steps(in: folder).filter { $0 != run.step }
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for (name, buffer, isPacked) in run.state {
            tensors[name] = try run.model.engine.tensor(
                name, type: isPacked ? .u32 : .f32, shape: [buffer.count], in: buffer)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let record = try encoder.encode(Record(identity: identity, progress: run.progress))
        let checkpoint = Checkpoint(
            path: folder, tensors: tensors,
            auxiliaryFiles: [AuxiliaryFile(name: Self.recordName, content: .bytes([UInt8](record)))],
            metadata: [:])
        var options = WriteOptions(force: true, shardSize: .max, checksums: false)
        options.freeSpace = freeSpace
        let path = self.path(step: run.step)
        do { try CheckpointWriter(options: options).write(checkpoint, to: path) } catch {
            // What is there of it would take the room that others need.
            try? FileSystem.remove(Path.join(folder, ".\(Path.name(path)).partial"))
            throw error
        }
        for step in older { try FileSystem.remove(self.path(step: step)) }
    }

    /// Puts a run where the last checkpoint left it; does nothing when there is none.
    ///
    /// - Throws: ``UserFacingError`` when the checkpoint is of a run with other settings, or is damaged.
    func restore<Device: Engine>(_ run: Healing<Device>) throws {
        guard let step = lastStep else { return }
        let path = path(step: step)
        let record: Record
        let checkpoint: Checkpoint
        do {
            let bytes = try InputFile(path: Path.join(path, Self.recordName)).bytes()
            record = try JSONDecoder().decode(Record.self, from: Data(bytes))
            checkpoint = try Checkpoint.open(path)
        } catch {
            let reason =
                (error as? UserFacingError)?.description ?? "\(Self.recordName) is not what was written"
            throw UserFacingError.badRunState(path: path, reason: reason)
        }
        let differences = identity.differences(from: record.identity, after: record.progress.step)
        guard differences.isEmpty else {
            throw UserFacingError.otherRun(folder: folder, differences: differences)
        }
        for (name, buffer, isPacked) in run.state {
            let type: ElementType = isPacked ? .u32 : .f32
            guard let tensor = checkpoint.tensors[name], tensor.type == type, tensor.shape == [buffer.count]
            else {
                throw UserFacingError.badRunState(
                    path: path,
                    reason: "tensor '\(name)' is not \(type.rawValue)[\(buffer.count)], as this run's is")
            }
            try run.model.engine.loadBits(tensor, into: buffer)
        }
        try run.resume(record.progress)
    }

    /// Removes what is kept of the run.
    func removeSteps() throws { try Self.removeSteps(in: folder) }

    /// Removes what is kept of a run whose folder this is.
    static func removeSteps(in folder: String) throws(UserFacingError) {
        for name in stepNames(in: folder) { try FileSystem.remove(Path.join(folder, name)) }
    }

    /// The names of all checkpoints in a folder, those among them that were never whole.
    private static func stepNames(in folder: String) -> [String] {
        ((try? FileSystem.names(folder)) ?? []).filter { $0.hasPrefix("step-") || $0.hasPrefix(".step-") }
    }

    private static func steps(in folder: String) -> [Int] {
        stepNames(in: folder).compactMap {
            $0.hasPrefix("step-") ? Int($0.dropFirst("step-".count)) : nil
        }
    }

    private func path(step: Int) -> String { Self.path(in: folder, step: step) }

    private static func path(in folder: String, step: Int) -> String {
        let digits = String(step)
        return folder + "/step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
