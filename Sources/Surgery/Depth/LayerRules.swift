internal import Formats
internal import Models
internal import OrderedCollections

/// Rules of a configuration that name modules of layers, such as the exceptions of a quantisation, made to follow a plan.
///
/// A name in a list or as a key becomes the names of all layers that are made from its layer. A pattern stays when it
/// says the same of each layer of the result as of the one it is made from; else it is refused.
struct LayerRules {
    private let plan: LayerPlan
    private let names: LayerNames
    /// What stands before the numbers of the model's other sets of layers.
    private let others: [String]
    /// The modules of each layer, by what follows the layer's number.
    private let modules: [Set<String>]
    /// The model, for messages.
    private let model: String
    /// What changed, key by key.
    private(set) var changes: [ConfigurationChange] = []

    init(_ plan: LayerPlan, _ names: LayerNames, of checkpoint: Checkpoint) {
        self.plan = plan
        self.names = names
        model = checkpoint.path
        var modules = [Set<String>](repeating: [], count: plan.sourceCount)
        var others: Set<String> = []
        for name in checkpoint.tensors.keys {
            if let (layer, rest) = names.parse(name) {
                guard layer < plan.sourceCount else { continue }
                let parts = rest.split(separator: ".")
                modules[layer].insert(parts.dropLast().joined(separator: "."))
            } else if let found = Self.place(in: name, behind: nil), !found.before.isEmpty {
                others.insert(found.before)
            }
        }
        self.modules = modules
        self.others = others.sorted()
    }

    /// What becomes of a file of settings.
    ///
    /// - Parameters:
    ///   - settings: what the file holds.
    ///   - isQuantization: whether all of it describes a quantisation.
    ///   - file: the file, for messages.
    /// - Returns: the settings of the result.
    /// - Throws: ``UserFacingError`` that quotes a rule which can't follow.
    mutating func followed(
        _ settings: JSON, isQuantization: Bool = false, file: String
    ) throws(UserFacingError) -> JSON {
        try followed(settings, at: "", isRule: isQuantization, file)
    }

    private mutating func followed(
        _ value: JSON, at key: String, isRule: Bool, _ file: String
    ) throws(UserFacingError) -> JSON {
        switch value {
        case .object(let members): return .object(try followed(members, at: key, isRule: isRule, file))
        case .array(let entries):
            var result: [JSON] = []
            for entry in entries {
                if let text = entry.string {
                    result += try followed(text, at: key, isRule: isRule, file).map { .string($0) }
                } else {
                    result.append(try followed(entry, at: key, isRule: isRule, file))
                }
            }
            let list = JSON.array(result)
            if list != value { changes.append(ConfigurationChange(key: key, before: value, after: list)) }
            return list
        case .string(let text):
            let texts = try followed(text, at: key, isRule: isRule, file)
            guard texts.count == 1 else {
                throw refusal(
                    file, key, text,
                    "it names a module of one layer, which becomes \(texts.isEmpty ? "none" : "\(texts.count)")"
                )
            }
            if texts[0] != text {
                changes.append(
                    ConfigurationChange(key: key, before: value, after: .string(texts[0])))
            }
            return .string(texts[0])
        default: return value
        }
    }

    private mutating func followed(
        _ members: JSONObject, at path: String, isRule: Bool, _ file: String
    ) throws(UserFacingError) -> JSONObject {
        var result = JSONObject()
        var renamed: [String] = []
        for (key, value) in members {
            let place = path.isEmpty ? key : path + "." + key
            let isRule = isRule || Quantization.keys.contains(key)
            if isRule, !key.isEmpty, key.utf8.allSatisfy({ (48...57).contains($0) }), !path.isEmpty {
                throw refusal(file, place, value.text, "it may describe a layer by its number")
            }
            let keys = try followed(key, at: path, isRule: isRule, file)
            if keys == [key] {
                result[key] = try followed(value, at: place, isRule: isRule, file)
            } else {
                for new in keys { result[new] = value }
                renamed += keys + [key]
            }
        }
        for key in renamed where members[key] != result[key] {
            let change = ConfigurationChange(
                key: path.isEmpty ? key : path + "." + key, before: members[key], after: result[key])
            if !changes.contains(change) { changes.append(change) }
        }
        return result
    }

    // MARK: - One rule

    /// The names that a name becomes; itself when it is no name of a layer's module.
    private func followed(
        _ text: String, at key: String, isRule: Bool, _ file: String
    ) throws(UserFacingError) -> [String] {
        guard names.style == .dotted else {
            if names.parse(text) != nil || names.parse(text + "/") != nil {
                throw refusal(file, key, text, "it names a layer's module")
            }
            return [text]
        }
        if text.contains(where: { Self.signs.contains($0) }) {
            if isRule, try !isKept(pattern: text, file) {
                throw refusal(
                    file, key, text,
                    "the pattern would not say the same of the new layers; write the modules' names instead")
            }
            return [text]
        }
        let last = names.prefix.split(separator: ".").last.map(String.init)
        guard let place = Self.place(in: text, behind: last), try isOwn(place.before, of: text, at: key, file)
        else { return [text] }
        if place.layer >= plan.sourceCount {
            // Layers behind the last one stay behind it.
            return ["\(place.before)\(place.layer - plan.sourceCount + plan.count)\(place.rest)"]
        }
        return plan.sources.indices.filter { plan.sources[$0] == place.layer }
            .map { "\(place.before)\($0)\(place.rest)" }
    }

    /// The number of a layer in a name, and what stands before and after it.
    ///
    /// - Parameters:
    ///   - text: the name.
    ///   - last: what the part before the number is called; nil takes any.
    /// - Returns: nil where no number stands there.
    private static func place(
        in text: String, behind last: String?
    ) -> (before: String, layer: Int, rest: String)? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated().dropFirst(last == nil ? 0 : 1) {
            guard !part.isEmpty, part.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(part),
                last == nil || parts[index - 1] == last.map({ Substring($0) })
            else { continue }
            let before = parts[..<index].map { $0 + "." }.joined()
            let rest = parts[(index + 1)...].map { "." + $0 }.joined()
            return (before, number, rest)
        }
        return nil
    }

    /// Whether a name that begins so is one of the model's layers, and not one of another set of layers in it.
    ///
    /// Rules may leave out the beginning of a name, and models inside others are called by different words.
    private func isOwn(
        _ before: String, of text: String, at key: String, _ file: String
    ) throws(UserFacingError) -> Bool {
        let own = names.prefix
        if before == own { return true }
        if others.contains(before) { return false }
        let (written, core) = (Self.core(before), Self.core(own))
        guard core.suffix(written.count).elementsEqual(written) else { return false }
        if let other = others.first(where: { Self.core($0).suffix(written.count).elementsEqual(written) }) {
            throw refusal(
                file, key, text, "both \(own)… and \(other)… may be meant; write the whole names")
        }
        return true
    }

    /// The parts of a prefix without those that only say inside which model it stands.
    private static func core(_ prefix: String) -> [Substring] {
        let wrappers: Set<Substring> = [
            "model", "base_model", "language_model", "text_model", "transformer", "module",
        ]
        return prefix.split(separator: ".").filter { !wrappers.contains($0) }
    }

    // MARK: - Patterns

    /// What a name has not, and a pattern has.
    private static let signs: Set<Character> = [
        "*", "?", "[", "]", "(", ")", "{", "}", "|", "^", "$", "\\", "+",
    ]

    /// Whether a pattern says of every layer of the result what it says of the layer it is made from.
    ///
    /// It is read as a regular expression (`re:` before it in compressed-tensors, `+:` and `-:` in GPTQModel) and with the
    /// wildcards of a shell, whichever it is.
    private func isKept(pattern text: String, _ file: String) throws(UserFacingError) -> Bool {
        let pattern = ["re:", "+:", "-:"].reduce(text) {
            $0.hasPrefix($1) ? String($0.dropFirst($1.count)) : $0
        }
        let whole = "\\A(?:\(pattern))\\z"
        let readings = [pattern, whole, Self.regularExpression(ofWildcards: pattern)]
            .compactMap { try? Expression($0, file: file) }
        guard !readings.isEmpty else { return false }
        for (layer, source) in plan.sources.enumerated() where layer != source {
            for module in modules[source] {
                for (new, old) in zip(spellings(layer, module), spellings(source, module)) {
                    for reading in readings where reading.matches(new) != reading.matches(old) {
                        return false
                    }
                }
            }
        }
        return true
    }

    /// What a module may be called in rules.
    private func spellings(_ layer: Int, _ module: String) -> [String] {
        let name = names.name(layer: layer, rest: module)
        var spellings = [name, name + ".weight", "model." + name]
        var rest = Substring(name)
        for _ in names.prefix.split(separator: ".").dropLast() {
            guard let dot = rest.firstIndex(of: ".") else { break }
            rest = rest[rest.index(after: dot)...]
            spellings.append(String(rest))
        }
        return spellings
    }

    private static func regularExpression(ofWildcards pattern: String) -> String {
        var result = "\\A"
        for character in pattern {
            switch character {
            case "*": result += ".*"
            case "?": result += "."
            case "[", "]": result.append(character)
            case _ where character.isLetter || character.isNumber || character == "_":
                result.append(character)
            default: result += "\\\(character)"
            }
        }
        return result + "\\z"
    }

    private func refusal(_ file: String, _ key: String, _ text: String, _ reason: String) -> UserFacingError {
        .unfollowableKey(
            path: model, file: file, key: key, value: "\"\(text)\"",
            reason: reason + "; remove the quantisation first, or correct the rule")
    }
}

extension Checkpoint {
    /// Has every rule follow a plan that names modules of layers, in config.json and in the files beside it.
    ///
    /// - Returns: what changed in config.json.
    mutating func followRules(
        _ plan: LayerPlan, _ names: LayerNames, of source: Checkpoint
    ) throws(UserFacingError) -> [ConfigurationChange] {
        guard let settings = configuration else { return [] }
        var rules = LayerRules(plan, names, of: source)
        let followed = try rules.followed(settings.json, file: Configuration.fileName)
        if followed != settings.json { configuration = Configuration(settings, followed) }
        let changes = rules.changes
        for (index, file) in auxiliaryFiles.enumerated() where Quantization.files.contains(file.name) {
            let bytes = try file.bytes()
            let old = try JSON(parsing: bytes, file: file.name)
            let new = try rules.followed(old, isQuantization: true, file: file.name)
            if new != old { auxiliaryFiles[index].content = .bytes(new.serialized(laidOutLike: bytes)) }
        }
        return changes
    }
}
