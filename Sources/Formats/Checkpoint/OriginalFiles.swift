private import Foundation

/// What a manifest keeps of the model that an operation was given, so that its files can be made again of the result.
///
/// Tensors are in the result, as the provenance says. This is the rest: files without tensors, and what of the weights files
/// is no tensor. Whatever the result has as well is not kept twice.
public struct OriginalFiles: Sendable, Equatable {
    /// A file without tensors: configuration, tokenizer, an index, the manifest of an earlier result.
    public struct File: Sendable, Equatable {
        /// Where its bytes are.
        enum Content: Sendable, Equatable {
            /// In the result's file of the same name, which is the same.
            case same
            /// In the result's file of the same name, with these changes: a ``ByteDelta``, packed.
            case changes([UInt8])
            /// Here, packed.
            case whole([UInt8])
        }

        /// Its name inside the model's folder.
        public let name: String
        /// Its size.
        public let bytes: Int
        /// SHA-256 of its bytes in hexadecimal.
        public let sha256: String
        let content: Content

        /// Its bytes, made again.
        ///
        /// - Parameter result: what is in the result's file of the same name; nil when there is none.
        /// - Returns: the bytes; nil when the result's file is not what it was.
        package func content(from result: [UInt8]?) -> [UInt8]? {
            let made: [UInt8]? =
                switch content {
                case .same: result
                case .whole(let packed): Deflate.unpacked(packed, most: bytes)
                case .changes(let packed):
                    result.flatMap { result in
                        // Each of its lists of new bytes, and each copy, says in a few bytes how long it is.
                        Deflate.unpacked(packed, most: 2 * max(0, min(bytes, 1 << 40)) + 64).flatMap {
                            ByteDelta.apply($0, to: result, most: bytes)
                        }
                    }
                }
            guard let made, made.count == bytes, FileDigest.sha256(made) == sha256 else { return nil }
            return made
        }

        /// Whether it takes the result's file of the same name to make it.
        package var needsResult: Bool { if case .whole = content { false } else { true } }
    }

    /// A weights file.
    public struct Weights: Sendable, Equatable {
        /// Its name inside the model's folder.
        public let name: String
        /// Its size.
        public let bytes: Int
        /// Its place among the manifest's sources; nil when no tensor of it is in the result.
        public let source: Int?
        /// Its bytes that are no tensor, in order, packed; nil when its tensors do not lie in it as they are.
        let between: [UInt8]?
        /// The tensors of which nothing is in the result.
        public let dropped: [String]

        /// Its bytes that are no tensor, in order; nil when they are not known.
        package var bytesBetween: [UInt8]? { between.flatMap { Deflate.unpacked($0, most: bytes) } }
    }

    /// The files without tensors.
    public var files: [File]
    /// The weights files.
    public var weights: [Weights]
}

/// What lies in the folder that a model was opened from, kept until a manifest is made.
public struct OpenedFiles: Sendable {
    /// The weights files and their tensors.
    let weights: [WeightsFile]
    /// The other files that belong to the model.
    var others: [AuxiliaryFile] = []
}

extension OriginalFiles {
    /// How large the bytes between the tensors of a file may be.
    private static let mostBetween = 256 << 20

    /// What has to be kept of a model.
    ///
    /// - Parameters:
    ///   - opened: the model's files.
    ///   - sources: the files that the result's tensors come from, in the order in which its manifest counts them.
    ///   - taken: the tensors of each of these files that something in the result was made of.
    ///   - result: a file of the result by its name.
    /// - Throws: ``UserFacingError`` when a file can't be read.
    init(
        of opened: OpenedFiles, sources: [InputFile], taken: [Set<String>],
        result: (String) -> AuxiliaryFile?
    ) throws(UserFacingError) {
        weights = []
        for file in opened.weights {
            let place = sources.firstIndex { $0 === file.file }
            let known = place.map { taken[$0] } ?? []
            weights.append(
                Weights(
                    name: file.file.name, bytes: file.file.size, source: place,
                    between: try Self.between(file).map { Deflate.packed($0) },
                    dropped: file.tensors.map(\.name).filter { !known.contains($0) }))
        }
        files = []
        for file in opened.others { files.append(try File(file, result: result(file.name))) }
    }

    /// The bytes of a weights file that are no tensor; nil when a tensor does not lie there as it is.
    private static func between(_ file: WeightsFile) throws(UserFacingError) -> [UInt8]? {
        var ranges: [Range<Int>] = []
        for tensor in file.tensors {
            guard let range = tensor.fileRange else { return nil }
            ranges.append(range.offset..<range.offset + range.count)
        }
        let gaps = gaps(in: file.file.size, ranges)
        guard gaps.reduce(0, { $0 + $1.count }) <= mostBetween else { return nil }
        var bytes: [UInt8] = []
        for gap in gaps { bytes += try file.file.bytes(at: gap.lowerBound, count: gap.count) }
        return bytes
    }

    /// What some ranges leave of `0..<size`.
    package static func gaps(in size: Int, _ ranges: [Range<Int>]) -> [Range<Int>] {
        var gaps: [Range<Int>] = []
        var end = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if range.lowerBound > end { gaps.append(end..<range.lowerBound) }
            end = max(end, range.upperBound)
        }
        return end < size ? gaps + [end..<size] : gaps
    }
}

extension OriginalFiles.File {
    /// A packed file up to this size is kept whole, so that it does not depend on what becomes of the result's.
    private static let small = 16 << 10

    fileprivate init(_ file: AuxiliaryFile, result: AuxiliaryFile?) throws(UserFacingError) {
        let original = try file.bytes()
        let made = try result?.bytes()
        self.init(
            name: file.name, bytes: original.count, sha256: FileDigest.sha256(original),
            content: original == made ? .same : Self.content(of: original, result: made))
    }

    private static func content(of original: [UInt8], result: [UInt8]?) -> Content {
        let whole = Deflate.packed(original)
        guard let result, whole.count > small else { return .whole(whole) }
        let changes = Deflate.packed(ByteDelta.between(result, original))
        return changes.count < whole.count ? .changes(changes) : .whole(whole)
    }
}

// MARK: - JSON

extension OriginalFiles.File {
    var json: JSON {
        var json: JSON = ["name": .string(name), "bytes": JSON(bytes), "sha256": .string(sha256)]
        switch content {
        case .same: break
        case .changes(let packed): json["changes"] = .string(Base64.text(packed))
        case .whole(let packed): json["whole"] = .string(Base64.text(packed))
        }
        return json
    }

    init(_ json: JSON, _ reader: ManifestReader) throws(UserFacingError) {
        name = try reader.fileName(json)
        bytes = try reader.size(json)
        sha256 = try reader.value(json, "sha256", "a checksum") { $0.string }
        content =
            if let changes = try reader.packed(json, "changes") {
                .changes(changes)
            } else if let whole = try reader.packed(json, "whole") {
                .whole(whole)
            } else {
                .same
            }
    }
}

extension OriginalFiles.Weights {
    var json: JSON {
        var json: JSON = ["name": .string(name), "bytes": JSON(bytes)]
        if let source { json["source"] = JSON(source) }
        if let between { json["between"] = .string(Base64.text(between)) }
        if !dropped.isEmpty { json["dropped"] = .array(dropped.map { .string($0) }) }
        return json
    }

    init(_ json: JSON, _ reader: ManifestReader) throws(UserFacingError) {
        name = try reader.fileName(json)
        bytes = try reader.size(json)
        source = json["source"] == nil ? nil : try reader.value(json, "source", "a number") { $0.int }
        between = try reader.packed(json, "between")
        dropped =
            json["dropped"] == nil
            ? []
            : try reader.list(json, "dropped") { (name) throws(UserFacingError) in
                guard let name = name.string else {
                    throw reader.malformed("dropped", found: name.kind, expected: "a tensor's name")
                }
                return name
            }
    }
}

extension ManifestReader {
    /// A name that leads to no other folder.
    fileprivate func fileName(_ json: JSON) throws(UserFacingError) -> String {
        try value(json, "name", "a file's name inside its folder") { value in
            value.string.flatMap { name in
                let parts = name.split(separator: "/", omittingEmptySubsequences: false)
                let isInside = parts.allSatisfy { !["", ".", ".."].contains($0) } && !name.contains("\0")
                return isInside ? name : nil
            }
        }
    }

    fileprivate func size(_ json: JSON) throws(UserFacingError) -> Int {
        try value(json, "bytes", "a number of bytes") { $0.int.flatMap { $0 >= 0 ? $0 : nil } }
    }

    fileprivate func packed(_ json: JSON, _ key: String) throws(UserFacingError) -> [UInt8]? {
        json[key] == nil ? nil : try value(json, key, "bytes in Base64") { $0.string.flatMap(Base64.bytes) }
    }
}

/// Bytes as text.
///
/// Source: RFC 4648, section 4.
private enum Base64 {
    static func text(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    static func bytes(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { [UInt8]($0) } }
}
