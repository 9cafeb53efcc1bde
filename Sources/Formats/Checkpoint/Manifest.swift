public import OrderedCollections

/// How a result was made: `surgery.json`.
///
/// For each tensor it says what it was made from and how, so that the result can be proven against its source.
public struct Manifest: Sendable, Equatable {
    /// What the file is called.
    public static let fileName = "surgery.json"
    /// The version of the file's own layout.
    ///
    /// Format 1 was written before the first release only, and is not read.
    public static let formatVersion = 2

    /// Something that was done to a model.
    public struct Operation: Sendable, Equatable {
        /// The command's name, as in `dus`.
        public let name: String
        /// What it was told: what its command and a recipe call the same.
        public let parameters: JSONObject
        /// What followed, as where each layer came from.
        public let facts: JSONObject

        /// An operation of this name and these parameters.
        public init(name: String, parameters: JSONObject, facts: JSONObject = JSONObject()) {
            self.name = name
            self.parameters = parameters
            self.facts = facts
        }
    }

    /// A weights file that tensors were taken from.
    public struct Source: Sendable, Equatable {
        /// Where it was, seen from the result's folder.
        public let path: String
        /// Its size.
        public let bytes: Int
        /// SHA-256 of its bytes in hexadecimal; nil when none was made.
        public let sha256: String?

        /// A file at a path seen from the result's folder.
        public init(path: String, bytes: Int, sha256: String? = nil) {
            self.path = path
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// Name and version of what wrote the result.
    public var tool: String
    /// What had been done to the source before, oldest first.
    public var history: [Operation]
    /// What was done, in order.
    public var operations: [Operation]
    /// The files that tensors were taken from; a provenance names them by their place here.
    public var sources: [Source]
    /// What each tensor was made from, and how.
    public var provenance: OrderedDictionary<String, Provenance>
    /// What else it takes to make the files of the model again that the first operation was given.
    ///
    /// Nil when that model was not opened from files.
    public var original: OriginalFiles?

    /// A manifest of these parts.
    public init(
        tool: String, history: [Operation] = [], operations: [Operation], sources: [Source],
        provenance: OrderedDictionary<String, Provenance>, original: OriginalFiles? = nil
    ) {
        self.tool = tool
        self.history = history
        self.operations = operations
        self.sources = sources
        self.provenance = provenance
        self.original = original
    }

    /// The same with room for every checksum, so that its size is known.
    func withPlaceholders(_ checksums: Bool) -> Manifest {
        withChecksums(sources.map { _ in checksums ? String(repeating: "0", count: 64) : nil })
    }

    /// The same with these checksums of its sources.
    func withChecksums(_ checksums: [String?]) -> Manifest {
        var manifest = self
        manifest.sources = zip(sources, checksums).map { Source(path: $0.path, bytes: $0.bytes, sha256: $1) }
        return manifest
    }

    /// The same account of tensors that were made of those it tells of.
    ///
    /// - Parameter tensors: the new tensors, made of stored ones whose provenance this manifest has.
    /// - Returns: a manifest that traces the new tensors back to its sources.
    package func following(_ tensors: OrderedDictionary<String, TensorExpression>) -> Manifest {
        var result = self
        result.provenance = [:]
        for (name, tensor) in tensors {
            result.provenance[name] = tensor.replacingLeaves { storage, leaf in
                if storage.origin == nil { return leaf.mapLeaves { .computed($0.name, from: nil) } }
                let known = provenance[storage.name]
                return known?.type == leaf.type && known?.shape == leaf.shape ? known : nil
            }
        }
        return result
    }
}

// MARK: - The file

extension Manifest {
    /// Reads a manifest.
    ///
    /// - Throws: ``UserFacingError`` that says what is wrong where.
    public static func read(path: String) throws(UserFacingError) -> Manifest {
        let json = try JSON.read(path: path, duplicates: .refused)
        return try Manifest(json, file: path)
    }

    /// The manifest that a JSON value describes.
    ///
    /// - Throws: ``UserFacingError`` that says what is wrong where.
    public init(_ json: JSON, file: String) throws(UserFacingError) {
        let reader = ManifestReader(file: file)
        let version = try reader.value(json, "format", "a number") { $0.int }
        guard version == Self.formatVersion else {
            throw version == 1
                ? .unreleasedManifest(file: file) : .newerManifest(file: file, found: version)
        }
        tool = try reader.value(json, "tool", "a string") { $0.string }
        history = try reader.operations(json, "history")
        operations = try reader.operations(json, "operations")
        sources = try reader.list(json, "sources") { (source) throws(UserFacingError) in
            Source(
                path: try reader.value(source, "path", "a string") { $0.string },
                bytes: try reader.value(source, "bytes", "a number") { $0.int },
                sha256: source["sha256"]?.string)
        }
        original =
            json["original_weights"] == nil
            ? nil
            : OriginalFiles(
                files: try reader.list(json, "original_files") { (file) throws(UserFacingError) in
                    try OriginalFiles.File(file, reader)
                },
                weights: try reader.list(json, "original_weights") { (file) throws(UserFacingError) in
                    try OriginalFiles.Weights(file, reader)
                })
        provenance = [:]
        for (name, tree) in try reader.value(json, "provenance", "an object", { $0.object }) {
            provenance[name] = try Provenance.read(tree, ManifestReader(file: file, tensor: name))
        }
        try checkSources(file: file)
    }

    /// Refuses places of sources that are not listed.
    private func checkSources(file: String) throws(UserFacingError) {
        for weights in original?.weights ?? [] {
            guard let place = weights.source, !sources.indices.contains(place) else { continue }
            throw .unknownSource(of: "the original file '\(weights.name)'", file: place).within(file)
        }
        for (name, tree) in provenance {
            var unknown: Int?
            tree.forEachCopy { file, _ in if !sources.indices.contains(file) { unknown = file } }
            if let unknown { throw .unknownSource(of: "tensor '\(name)'", file: unknown).within(file) }
        }
    }

    /// The file's bytes: readable, and no more than a line for each tensor.
    public func serialized() -> [UInt8] {
        var text: [UInt8] = []
        func line(_ string: String) { text.append(contentsOf: string.utf8) }
        func lines(_ key: String, _ values: [JSON]) {
            line("  \"\(key)\": [")
            for (index, value) in values.enumerated() {
                line(index == 0 ? "\n    " : ",\n    ")
                text.append(contentsOf: value.serialized(indent: nil))
            }
            line(values.isEmpty ? "],\n" : "\n  ],\n")
        }
        line("{\n  \"format\": \(Self.formatVersion),\n  \"tool\": ")
        text.append(contentsOf: JSON.string(tool).serialized(indent: nil))
        line(",\n")
        lines("history", history.map(\.json))
        lines("operations", operations.map(\.json))
        lines("sources", sources.map(\.json))
        if let original {
            lines("original_files", original.files.map(\.json))
            lines("original_weights", original.weights.map(\.json))
        }
        line("  \"provenance\": {")
        for (index, (name, tree)) in provenance.enumerated() {
            line(index == 0 ? "\n    " : ",\n    ")
            text.append(contentsOf: JSON.string(name).serialized(indent: nil))
            line(": ")
            text.append(contentsOf: tree.json.serialized(indent: nil))
        }
        line(provenance.isEmpty ? "}\n}\n" : "\n  }\n}\n")
        return text
    }
}

extension Manifest.Operation {
    fileprivate var json: JSON {
        var json: JSON = ["name": .string(name), "parameters": .object(parameters)]
        if !facts.isEmpty { json["facts"] = .object(facts) }
        return json
    }
}

extension Manifest.Source {
    fileprivate var json: JSON {
        var json: JSON = ["path": .string(path), "bytes": JSON(bytes)]
        if let sha256 { json["sha256"] = .string(sha256) }
        return json
    }
}

/// Takes a manifest's JSON apart and says where it is wrong.
struct ManifestReader {
    let file: String
    /// The tensor whose provenance is being read.
    var tensor: String?

    func value<Value>(
        _ json: JSON, _ key: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws(UserFacingError) -> Value {
        guard let value = json[key].flatMap(convert) else {
            throw malformed(key, found: json[key]?.kind ?? "nothing", expected: expected)
        }
        return value
    }

    func list<Element>(
        _ json: JSON, _ key: String, _ convert: (JSON) throws(UserFacingError) -> Element
    ) throws(UserFacingError) -> [Element] {
        var elements: [Element] = []
        for element in try value(json, key, "a list", { $0.array }) { elements.append(try convert(element)) }
        return elements
    }

    func operations(_ json: JSON, _ key: String) throws(UserFacingError) -> [Manifest.Operation] {
        try list(json, key) { (operation) throws(UserFacingError) in
            let facts =
                operation["facts"] == nil
                ? JSONObject() : try value(operation, "facts", "an object") { $0.object }
            _ = try LayerOrigins(facts, self)
            return Manifest.Operation(
                name: try value(operation, "name", "a string") { $0.string },
                parameters: try value(operation, "parameters", "an object") { $0.object }, facts: facts)
        }
    }

    func malformed(_ key: String, found: String, expected: String) -> UserFacingError {
        .malformedManifest(file: file, tensor: tensor, key: key, found: found, expected: expected)
    }
}

// MARK: - Errors

// Why a manifest could not be read or followed.
extension UserFacingError {
    /// It was written before the first release, in a format that is not read any more.
    package static func unreleasedManifest(file: String) -> Self {
        Self(
            .unsupported,
            "\(file) has format 1, which only versions before the first release wrote, and this program knows "
                + "format \(Manifest.formatVersion); make the result again from its source, or remove \(file) to use "
                + "the model without its history")
    }

    /// It was written by a newer version of this project.
    package static func newerManifest(file: String, found: Int) -> Self {
        Self(
            .unsupported,
            "\(file) has format \(found), and this program knows \(Manifest.formatVersion); use a newer one")
    }

    /// A part of it is not what it should be; the tensor whose provenance it is of, if it is of one.
    package static func malformedManifest(
        file: String, tensor: String?, key: String, found: String, expected: String
    ) -> Self {
        Self(
            .malformed,
            "\(file): '\(key)'\(tensor.map { " in the provenance of tensor '\($0)'" } ?? "") has \(found) where "
                + "\(expected) is expected")
    }

    /// A tensor or a file comes from a source that is not listed.
    package static func unknownSource(of thing: String, file: Int) -> Self {
        Self(.malformed, "the manifest says that \(thing) comes from source \(file), which it does not list")
    }

    /// A source file is another than the one the result was made from.
    package static func changedSource(file: String, found: Int, expected: Int) -> Self {
        Self(
            .inconsistent,
            "\(file) has \(found) bytes, and the file the result was made from had \(expected): it is another file"
        )
    }

    /// A source does not hold a tensor where a provenance says it is.
    package static func missingSourceTensor(file: String, tensor: String, offset: Int) -> Self {
        Self(
            .inconsistent,
            "\(file) holds no tensor '\(tensor)' at byte \(offset), from which the manifest says the result was made"
        )
    }

    /// A source's tensor has another type or shape than a provenance says.
    package static func changedSourceTensor(
        file: String, found: TensorDescription, expected: TensorDescription
    ) -> Self {
        Self(
            .inconsistent,
            "\(file) holds \(found), and the manifest says the result was made from \(expected): it is another file"
        )
    }
}
