internal import Foundation
internal import Formats
internal import OrderedCollections

/// What is kept of a run beside its output, so that it can go on after any end: `OUT.run/step-000200/`.
///
/// Each checkpoint is a folder that is whole or absent; the one before is removed only when the next is durable.
public struct RunStore: Sendable {
    /// The folder of the run's checkpoints.
    public let folder: String
    private let identity: RunIdentity

    /// The store of the run that makes `output`.
    public init(output: String, identity: RunIdentity) {
        folder = output + ".run"
        self.identity = identity
    }

    private struct Record: Codable {
        var version = 1
        var identity: RunIdentity
        var progress: RunProgress
    }

    private static let recordName = "run.json"

    /// The last step that is kept, nil when none is.
    public var lastStep: Int? { steps.max() }

    /// Keeps the run as it stands.
    ///
    /// - Throws: ``WriteError`` when there is no room, or ``TensorError``; older checkpoints are then still there.
    public func save<Device: Engine>(_ run: Healing<Device>) throws {
        let older = steps.filter { $0 != run.step }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
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
            companions: [Companion(name: Self.recordName, content: .bytes([UInt8](record)))], metadata: [:])
        let options = WriteOptions(force: true, shardSize: .max, checksums: false)
        try CheckpointWriter(options: options).write(checkpoint, to: path(step: run.step))
        for step in older { try FileManager.default.removeItem(atPath: path(step: step)) }
    }

    /// Puts a run where the last checkpoint left it; does nothing when there is none.
    ///
    /// - Throws: ``HealingError`` when the checkpoint is of a run with other settings, or is damaged.
    public func restore<Device: Engine>(_ run: Healing<Device>) throws {
        guard let step = lastStep else { return }
        let path = path(step: step)
        let record: Record
        do {
            let data = try Data(contentsOf: URL(filePath: path).appending(path: Self.recordName))
            record = try JSONDecoder().decode(Record.self, from: data)
        } catch {
            throw HealingError.badRunState(path: path, reason: "\(Self.recordName) cannot be read (\(error))")
        }
        let differences = identity.differences(from: record.identity)
        guard differences.isEmpty else {
            throw HealingError.otherRun(folder: folder, differences: differences)
        }
        let checkpoint = try Checkpoint.open(path)
        for (name, buffer, isPacked) in run.state {
            let type: ElementType = isPacked ? .u32 : .f32
            guard let tensor = checkpoint.tensors[name], tensor.type == type, tensor.shape == [buffer.count]
            else {
                throw HealingError.badRunState(
                    path: path,
                    reason: "tensor '\(name)' is not \(type.rawValue)[\(buffer.count)], as this run's is")
            }
            try run.model.engine.loadBits(tensor, into: buffer)
        }
        try run.resume(record.progress)
    }

    /// Removes all that is kept.
    ///
    /// - Throws: the system's error when it cannot be removed.
    public func remove() throws {
        guard FileManager.default.fileExists(atPath: folder) else { return }
        try FileManager.default.removeItem(atPath: folder)
    }

    private var steps: [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { $0.hasPrefix("step-") ? Int($0.dropFirst("step-".count)) : nil }
    }

    private func path(step: Int) -> String {
        let digits = String(step)
        return folder + "/step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
