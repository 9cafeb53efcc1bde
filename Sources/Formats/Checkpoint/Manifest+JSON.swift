import OrderedCollections

extension Manifest {
    /// Reads a manifest.
    ///
    /// - Throws: ``ManifestError`` that says what is wrong where.
    public static func read(path: String) throws(ManifestError) -> Manifest {
        do { return try Manifest(JSON.read(path: path, duplicates: .refused), file: path) } catch let error
            as JSONError
        {
            throw .json(error)
        } catch let error as ManifestError {
            throw error
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// The manifest that a JSON value describes.
    ///
    /// - Throws: ``ManifestError`` that says what is wrong where.
    public init(_ json: JSON, file: String) throws(ManifestError) {
        let reader = ManifestReader(file: file)
        let version = try reader.value(json, "format", "a number") { $0.int }
        guard version == Self.formatVersion else { throw .version(file: file, found: version) }
        tool = try reader.value(json, "tool", "a string") { $0.string }
        history = try reader.operations(json, "history")
        operations = try reader.operations(json, "operations")
        sources = try reader.list(json, "sources") { (source) throws(ManifestError) in
            Source(
                path: try reader.value(source, "path", "a string") { $0.string },
                bytes: try reader.value(source, "bytes", "a number") { $0.int },
                sha256: source["sha256"]?.string)
        }
        tensors = [:]
        for (name, recipe) in try reader.value(json, "tensors", "an object", { $0.object }) {
            tensors[name] = try Recipe(recipe, reader)
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
        line("  \"tensors\": {")
        for (index, (name, recipe)) in tensors.enumerated() {
            line(index == 0 ? "\n    " : ",\n    ")
            text.append(contentsOf: JSON.string(name).serialized(indent: nil))
            line(": ")
            text.append(contentsOf: recipe.json.serialized(indent: nil))
        }
        line(tensors.isEmpty ? "}\n}\n" : "\n  }\n}\n")
        return text
    }
}

extension Manifest.Operation {
    var json: JSON { ["name": .string(name), "parameters": .object(parameters)] }
}

extension Manifest.Source {
    var json: JSON {
        var json: JSON = ["path": .string(path), "bytes": JSON(bytes)]
        if let sha256 { json["sha256"] = .string(sha256) }
        return json
    }
}

/// Takes a manifest's JSON apart and says where it is wrong.
struct ManifestReader {
    let file: String

    func value<Value>(
        _ json: JSON, _ key: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws(ManifestError) -> Value {
        guard let value = json[key].flatMap(convert) else {
            throw .malformed(file: file, key: key, found: json[key]?.kind ?? "nothing", expected: expected)
        }
        return value
    }

    func list<Element>(
        _ json: JSON, _ key: String, _ convert: (JSON) throws(ManifestError) -> Element
    ) throws(ManifestError) -> [Element] {
        var elements: [Element] = []
        for element in try value(json, key, "a list", { $0.array }) { elements.append(try convert(element)) }
        return elements
    }

    func operations(_ json: JSON, _ key: String) throws(ManifestError) -> [Manifest.Operation] {
        try list(json, key) { (operation) throws(ManifestError) in
            Manifest.Operation(
                name: try value(operation, "name", "a string") { $0.string },
                parameters: try value(operation, "parameters", "an object") { $0.object })
        }
    }

    func type(_ json: JSON) throws(ManifestError) -> ElementType {
        try value(json, "type", "a type such as \"BF16\"") { $0.string.flatMap(ElementType.init(rawValue:)) }
    }

    func shape(_ json: JSON) throws(ManifestError) -> [Int] {
        try list(json, "shape") { (dimension) throws(ManifestError) in
            guard let size = dimension.int, size >= 0 else {
                throw .malformed(
                    file: file, key: "shape", found: dimension.kind, expected: "a whole number from 0 on")
            }
            return size
        }
    }
}
