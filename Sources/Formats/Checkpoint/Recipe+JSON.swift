extension Recipe {
    /// What was done last, in a word.
    public var how: String {
        switch self {
        case .copied: "copied"
        case .zeroed: "zeroed"
        case .computed: "computed"
        case .joined: "joined"
        case .rows: "rows"
        case .cast: "cast"
        case .transposed: "transposed"
        case .reshaped: "reshaped"
        case .derived(let rule, _): rule.name
        }
    }

    var json: JSON {
        var json: JSON = ["how": .string(how)]
        switch self {
        case .copied(let file, let tensor, let offset):
            json["file"] = JSON(file)
            json["tensor"] = .string(tensor)
            json["offset"] = JSON(offset)
        case .zeroed(let type, let shape):
            json["type"] = .string(type.rawValue)
            json["shape"] = .array(shape.map { JSON($0) })
        case .computed(let name, let type, let shape):
            json["name"] = .string(name)
            json["type"] = .string(type.rawValue)
            json["shape"] = .array(shape.map { JSON($0) })
        case .joined(let parts): json["parts"] = .array(parts.map(\.json))
        case .rows(let range, let whole):
            json["rows"] = [JSON(range.lowerBound), JSON(range.upperBound)]
            json["of"] = whole.json
        case .cast(let type, let original):
            json["type"] = .string(type.rawValue)
            json["of"] = original.json
        case .transposed(let original): json["of"] = original.json
        case .reshaped(let shape, let original):
            json["shape"] = .array(shape.map { JSON($0) })
            json["of"] = original.json
        case .derived(let rule, let original):
            for (key, value) in rule.json.object ?? JSONObject() { json[key] = value }
            json["of"] = original.json
        }
        return json
    }

    init(_ json: JSON, _ reader: ManifestReader) throws(ManifestError) {
        func original() throws(ManifestError) -> Recipe {
            try Recipe(reader.value(json, "of", "a recipe") { $0 }, reader)
        }
        switch try reader.value(json, "how", "what was done", { $0.string }) {
        case "copied":
            self = .copied(
                file: try reader.value(json, "file", "a number") { $0.int },
                tensor: try reader.value(json, "tensor", "a name") { $0.string },
                offset: try reader.value(json, "offset", "a number") { $0.int })
        case "zeroed": self = .zeroed(try reader.type(json), shape: try reader.shape(json))
        case "computed":
            self = .computed(
                try reader.value(json, "name", "a name") { $0.string }, try reader.type(json),
                shape: try reader.shape(json))
        case "joined":
            self = .joined(
                try reader.list(json, "parts") { (part) throws(ManifestError) in try Recipe(part, reader) })
        case "rows":
            let bounds = try reader.value(json, "rows", "two numbers") { $0.array?.compactMap(\.int) }
            guard bounds.count == 2, bounds[0] >= 0, bounds[0] <= bounds[1] else {
                throw .malformed(
                    file: reader.file, key: "rows", found: "\(bounds)",
                    expected: "two numbers, the first no larger")
            }
            self = .rows(bounds[0]..<bounds[1], of: try original())
        case "cast": self = .cast(try reader.type(json), of: try original())
        case "transposed": self = .transposed(of: try original())
        case "reshaped": self = .reshaped(try reader.shape(json), of: try original())
        case let how where RowRule.names.contains(how):
            self = .derived(try RowRule(json, how: how, reader), of: try original())
        case let other:
            throw .malformed(
                file: reader.file, key: "how", found: "\"\(other)\"", expected: "a way this program knows")
        }
    }
}
