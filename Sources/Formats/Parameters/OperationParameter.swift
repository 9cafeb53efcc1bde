/// A parameter of an operation: what it is called on a command line, in a recipe and in the manifest, and what it takes.
public struct OperationParameter: Sendable, Equatable {
    /// What it takes.
    public enum Kind: Sendable, Equatable {
        /// A whole number.
        case integer
        /// Any number.
        case number
        /// A text.
        case string
        /// True or false.
        case flag
        /// One of these words.
        case choice([String])
        /// One of these words or several.
        case choices([String])
        /// A path that is read; relative ones in a recipe count from the recipe's file.
        case path
        /// A path that is written to.
        case output
        /// A path, or this word.
        case pathOr(String)
        /// A model: a path where something lies there, else a name on the hub.
        case model
        /// One path or several.
        case paths
        /// One text or several.
        case strings
        /// One number or several.
        case numbers
        /// Named files of text, each with a weight or without, as ``TextSource`` reads them.
        case texts(weighted: Bool)
        /// A list of mappings, each of what is called `of` and has these parameters.
        indirect case mappings(of: String, [OperationParameter])
    }

    /// Its name.
    public let name: String
    /// What it takes.
    public let kind: Kind
    /// What it says, for help pages and schemas.
    public let about: String
    /// Whether the operation can't do without.
    public let isRequired: Bool

    /// A parameter.
    public init(_ name: String, _ kind: Kind, _ about: String, isRequired: Bool = false) {
        self.name = name
        self.kind = kind
        self.about = about
        self.isRequired = isRequired
    }

    /// The value that it takes, of what a file has; nil when that is of another kind, or a list of mappings.
    ///
    /// `folder` is what relative paths count from. One path stands for a list of one; a ``StepReference`` stays what it is.
    public func value(_ json: JSON, from folder: String) -> JSON? {
        func path(_ json: JSON) -> JSON? { json.string.map { .string(Path.counted($0, from: folder)) } }
        switch kind {
        case .integer: return json.int.map { _ in json }
        case .number: return json.double.map { _ in json }
        case .string: return json.string.map { _ in json } ?? json.double.map { _ in .string(json.text) }
        case .flag: return json.bool.map { _ in json }
        case .choice(let words): return json.string.flatMap { words.contains($0) ? json : JSON?.none }
        case .choices(let words):
            return Self.all(
                (json.array ?? [json]).map { word in
                    word.string.flatMap { words.contains($0) ? .string($0) : JSON?.none }
                })
        case .path, .output: return path(json)
        case .model: return json.string.map { .string(Self.model($0, from: folder)) }
        case .pathOr(let word): return json.string == word ? json : path(json)
        case .paths:
            guard let list = json.array else { return path(json).map { [$0] } }
            return Self.all(list.map(path))
        case .numbers: return Self.all((json.array ?? [json]).map { $0.double.map { JSON($0) } })
        case .strings: return Self.all((json.array ?? [json]).map { text in text.string.map { .string($0) } })
        case .texts(let weighted):
            let isOne = json.array == nil
            return Self.all(
                (isOne ? [json] : json.array ?? []).map { source in
                    TextSource(source, takesWeight: weighted, from: folder)?.json
                })
        case .mappings: return nil
        }
    }

    /// The place of a model as a recipe names it: what lies there counted from `folder`, else a name on the hub.
    package static func model(_ typed: String, from folder: String) -> String {
        let counted = Path.counted(typed, from: folder)
        return FileSystem.exists(counted) ? counted : typed
    }

    /// A value that ``value(_:from:)`` has made, with paths in place of the steps that it refers to.
    ///
    /// - Parameters:
    ///   - value: it.
    ///   - place: says where what a step has made lies.
    /// - Returns: the value; the same where it refers to no step.
    /// - Throws: what `place` throws.
    package func replacingSteps(
        in value: JSON, _ place: (String) throws(UserFacingError) -> String
    ) throws(UserFacingError) -> JSON {
        func replaced(_ json: JSON) throws(UserFacingError) -> JSON {
            guard let step = json.string.flatMap(StepReference.step(in:)) else { return json }
            return .string(try place(step))
        }
        var list: [JSON] = []
        switch kind {
        case .path, .output, .pathOr: return try replaced(value)
        case .paths:
            for path in value.array ?? [] { list.append(try replaced(path)) }
        case .texts:
            for var source in value.array ?? [] {
                if let file = source["file"] { source["file"] = try replaced(file) }
                list.append(source)
            }
        case .mappings(_, let parameters):
            for var item in value.array ?? [] {
                for parameter in parameters {
                    guard let own = item[parameter.name] else { continue }
                    item[parameter.name] = try parameter.replacingSteps(in: own, place)
                }
                list.append(item)
            }
        default: return value
        }
        return .array(list)
    }

    /// What is read of the files and folders that a value names, as they are named.
    func inputs(in value: JSON) -> [String] {
        switch kind {
        case .path, .model: [value.string].compactMap(\.self)
        case .pathOr(let word): [value.string].compactMap(\.self).filter { $0 != word }
        case .paths: (value.array ?? [value]).compactMap(\.string)
        case .texts: (value.array ?? []).compactMap { $0["file"]?.string }
        case .mappings(_, let parameters):
            (value.array ?? []).flatMap { item in
                parameters.flatMap { parameter in item[parameter.name].map(parameter.inputs) ?? [] }
            }
        case .integer, .number, .string, .flag, .choice, .choices, .output, .strings, .numbers: []
        }
    }

    /// The list of values, if each is one.
    private static func all(_ values: [JSON?]) -> JSON? {
        let known = values.compactMap(\.self)
        return known.count == values.count ? .array(known) : JSON?.none
    }

    /// What it takes, in words.
    public var expected: String {
        switch kind {
        case .integer: "a whole number"
        case .number: "a number"
        case .string: "a text"
        case .flag: "true or false"
        case .choice(let words): "one of \(words.joined(separator: ", "))"
        case .choices(let words): "one or several of \(words.joined(separator: ", "))"
        case .path, .output: "a path"
        case .model: "a path, or a name on the hub"
        case .pathOr(let word): "a path, or \(word)"
        case .paths: "a path or a list of paths"
        case .strings: "a text or a list of texts"
        case .numbers: "a number or a list of numbers"
        case .texts(let weighted):
            weighted
                ? "files as in ko=korean.jsonl:0.75 or {name: ko, file: korean.jsonl, weight: 0.75}"
                : "files as in ko=korean.jsonl or {name: ko, file: korean.jsonl}"
        case .mappings(let name, _): "a list of mappings, each a \(name)'s parameters"
        }
    }

    /// What it takes, as JSON Schema has it (draft 2020-12).
    public var schema: JSON {
        var schema: JSON =
            switch kind {
            case .integer: ["type": "integer"]
            case .number: ["type": "number"]
            case .string: ["type": ["string", "number"]]
            case .flag: ["type": "boolean"]
            case .choice(let words): ["enum": .array(words.map { .string($0) })]
            case .choices(let words): Self.oneOrMore(["enum": .array(words.map { .string($0) })])
            case .path, .output, .pathOr, .model: ["type": "string"]
            case .paths, .strings: Self.oneOrMore(["type": "string"])
            case .numbers: Self.oneOrMore(["type": "number"])
            case .texts(let weighted): Self.oneOrMore(TextSource.schema(weighted: weighted))
            case .mappings(_, let list): ["type": "array", "items": Self.schema(of: list)]
            }
        schema["description"] = .string(about)
        return schema
    }

    /// What a mapping with these parameters is, as JSON Schema has it.
    package static func schema(of parameters: [OperationParameter]) -> JSON {
        var properties = JSONObject()
        for parameter in parameters { properties[parameter.name] = parameter.schema }
        return [
            "type": "object", "additionalProperties": false, "properties": .object(properties),
            "required": .array(parameters.filter(\.isRequired).map { .string($0.name) }),
        ]
    }

    private static func oneOrMore(_ item: JSON) -> JSON {
        ["anyOf": [item, ["type": "array", "items": item]]]
    }
}
