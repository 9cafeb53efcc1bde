/// Text under a name, and its share where several are mixed.
public struct TextSource: Sendable, Equatable, Codable {
    /// What reports call it.
    public var name: String
    /// A file of text, a folder or a pattern of such, a pipe, `-` for standard input, or packed tokens (`.safetensors`).
    public var path: String
    /// Its share of the tokens, relative to the other sources'; above zero.
    public var weight: Double
    /// Whether it holds what the model was trained on before, against forgetting.
    ///
    /// Not written down: a job has these sources in a list of their own.
    public var isReplay = false

    /// Whether somebody has given it a name, which then is not its path.
    package var isNamed: Bool { name != path && !path.hasSuffix("/" + name) }

    private enum CodingKeys: String, CodingKey {
        case name, weight
        case path = "file"
    }

    /// A source; without a name it is called by its path.
    public init(name: String? = nil, path: String, weight: Double = 1, isReplay: Bool = false) {
        self.name = name ?? path
        self.path = path
        self.weight = weight
        self.isReplay = isReplay
    }

    /// What was typed for a source: `[NAME=]FILE[:WEIGHT]`.
    ///
    /// What is a path as a whole is one, whatever stands in it.
    ///
    /// - Parameters:
    ///   - argument: what was typed.
    ///   - takesWeight: whether a weight may stand behind a colon.
    ///   - folder: what a relative path counts from; empty for the current folder.
    ///
    /// It is nil when it names no file.
    public init?(typed argument: String, takesWeight: Bool, from folder: String = "") {
        var (text, weight) = (argument, 1.0)
        if takesWeight, !Self.isThere(text, folder), !Self.isThere(Self.parts(of: text, folder).path, folder),
            let colon = text.lastIndex(of: ":"), let number = Double(text[text.index(after: colon)...])
        {
            (text, weight) = (String(text[..<colon]), number)
        }
        let (name, path) = Self.parts(of: text, folder)
        guard !path.isEmpty else { return nil }
        self.init(name: name ?? Self.name(of: path), path: Self.place(path, folder), weight: weight)
    }

    /// A source as a recipe has it: what would be typed, or a mapping with `file`, and `name` and `weight` where wanted.
    init?(_ json: JSON, takesWeight: Bool, from folder: String) {
        if let text = json.string {
            self.init(typed: text, takesWeight: takesWeight, from: folder)
            return
        }
        guard let object = json.object, let file = object["file"]?.string, !file.isEmpty else { return nil }
        guard object.keys.allSatisfy({ ["file", "name", "weight"].contains($0) }),
            object["name"] == nil || object["name"]?.string != nil,
            object["weight"] == nil || object["weight"]?.double != nil,
            takesWeight || object["weight"]?.double ?? 1 == 1
        else { return nil }
        self.init(
            name: object["name"]?.string ?? Self.name(of: file), path: Self.place(file, folder),
            weight: object["weight"]?.double ?? 1)
    }

    /// The source as the coding keys have it.
    var json: JSON { ["name": .string(name), "file": .string(path), "weight": JSON(weight)] }

    static func schema(weighted: Bool) -> JSON {
        var properties: JSON = ["file": ["type": "string"], "name": ["type": "string"]]
        if weighted { properties["weight"] = ["type": "number"] }
        return [
            "anyOf": [
                ["type": "string"],
                [
                    "type": "object", "required": ["file"], "additionalProperties": false,
                    "properties": properties,
                ],
            ]
        ]
    }

    /// The name before the first `=`, unless the whole is a path, as in `year=2024/texts.jsonl`.
    private static func parts(of argument: String, _ folder: String) -> (name: String?, path: String) {
        guard !isThere(argument, folder), let sign = argument.firstIndex(of: "="),
            sign > argument.startIndex
        else { return (nil, argument) }
        let name = argument[..<sign]
        // A folder with the sign in its name, which a pattern leads into.
        if name.contains("/") { return (nil, argument) }
        return (String(name), String(argument[argument.index(after: sign)...]))
    }

    /// What a source is called that was given no name: as its path, or as the step that makes it.
    private static func name(of path: String) -> String { StepReference.step(in: path) ?? path }

    private static func isThere(_ path: String, _ folder: String) -> Bool {
        FileSystem.exists(place(path, folder))
    }

    /// Where a path leads; `-` stays standard input.
    private static func place(_ path: String, _ folder: String) -> String {
        path == "-" ? path : Path.counted(path, from: folder)
    }
}
