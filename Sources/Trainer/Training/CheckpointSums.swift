internal import Formats
internal import OrderedCollections

/// The SHA-256 of what a checkpoint holds, written with it: `checksums.json`.
///
/// That of the tensors is of their names, types, shapes and bytes, in the order of the names. It is taken of the values in memory
/// before they are written, so that it tells what any disk has made of them.
struct CheckpointSums: Codable, Equatable {
    /// That of `run.json`, and that of all tensors.
    let record: String, tensors: String

    private static let fileName = "checksums.json"

    /// Those of a record and of tensors, which are computed or read through.
    ///
    /// - Throws: ``UserFacingError`` when a tensor can't be read.
    init(
        record: [UInt8], _ tensors: OrderedDictionary<String, TensorExpression>
    ) throws(UserFacingError) {
        self.record = FileDigest.sha256(record)
        self.tensors = try FileDigest.sha256(
            tensors.keys.sorted().compactMap { name in tensors[name].map { (name: name, tensor: $0) } })
    }

    /// The file that they are.
    var file: AuxiliaryFile {
        get throws {
            AuxiliaryFile(name: Self.fileName, content: .bytes(try JSON(encoding: self).serialized()))
        }
    }

    /// Refuses a checkpoint that is not what was written.
    ///
    /// - Parameters:
    ///   - path: its folder.
    ///   - record: its record.
    ///   - tensors: its tensors.
    /// - Throws: ``UserFacingError`` that says which of both is another.
    static func check(
        _ path: String, record: [UInt8], _ tensors: OrderedDictionary<String, TensorExpression>
    ) throws(UserFacingError) {
        guard let written = try? JSON.read(path: Path.join(path, fileName)).decoded(as: CheckpointSums.self)
        else { throw .damagedCheckpoint(path, "its \(fileName) is gone or is none") }
        let found = try CheckpointSums(record: record, tensors)
        if found.record != written.record {
            throw .damagedCheckpoint(path, "its record is not what was written")
        }
        if found.tensors != written.tensors {
            throw .damagedCheckpoint(path, "its tensors are not what was written")
        }
    }
}
