/// Something that is done, under a name and with parameters: the same on a command line, in a recipe and in the manifest.
///
/// The coding keys are the names of the parameters, which are the command's options.
public protocol Parameterized: Codable, Sendable {
    /// What the command, a recipe's step and the manifest call it, as in `dus`.
    static var name: String { get }
    /// All parameters that it takes, under the names of the coding keys.
    static var parameterList: [OperationParameter] { get }
    /// What parameters are that are not given, where that is more than nothing.
    static var defaults: JSONObject { get }
}

extension Parameterized {
    /// Nothing, so that every parameter may be missing.
    public static var defaults: JSONObject { JSONObject() }

    /// The parameters that were given, by their names.
    public var parameters: JSONObject {
        guard let object = (try? JSON(encoding: self))?.object else {
            preconditionFailure(
                "parameters are an object of strings, numbers, truth values and lists of such")
        }
        return object
    }

    /// The files and folders that its parameters name to be read, as they are named.
    package var inputs: [String] {
        let given = parameters
        return Self.parameterList.flatMap { parameter in
            given[parameter.name].map(parameter.inputs) ?? []
        }
    }

    /// What parameters stand for, as recipes and manifests have them.
    ///
    /// - Parameters:
    ///   - parameters: by their names; null stands for one that is not given.
    ///   - folder: what relative paths among them count from; empty for the current folder.
    ///   - place: where a parameter stands, for messages; of the whole for nil.
    /// - Throws: ``UserFacingError`` that names a parameter that is not known, with the nearest one, one that is missing,
    ///   or a value of the wrong kind.
    public init(
        parameters: JSONObject, from folder: String = "", at place: (String?) -> String
    ) throws(UserFacingError) {
        var values = Self.defaults
        for (key, value) in try Self.parameterList.values(parameters, of: Self.name, from: folder, at: place)
        {
            values[key] = value
        }
        do {
            self = try JSON.object(values).decoded(as: Self.self)
        } catch {
            // Every value was checked, so only numbers that are too large are left.
            throw .undecodable(Self.name, at: place(nil))
        }
    }
}

extension [OperationParameter] {
    /// The values that parameters take, of what a file has for them.
    ///
    /// `place` is asked for where a key stands: inside a list of mappings as in `stages[0].lr`.
    fileprivate func values(
        _ given: JSONObject, of name: String, from folder: String, at place: (String?) -> String
    ) throws(UserFacingError) -> JSONObject {
        var values = JSONObject()
        for (key, found) in given {
            guard let parameter = first(where: { $0.name == key }) else {
                throw .unknownWord(
                    key, what: "parameter of \(name)", known: map(\.name), at: place(key))
            }
            if found.isNull { continue }
            if case .mappings(let item, let parameters) = parameter.kind, let list = found.array {
                var items: [JSON] = []
                for (index, entry) in list.enumerated() {
                    let path = "\(key)[\(index)]"
                    guard let object = entry.object else {
                        throw .wrongValue(
                            of: path, found: entry, expected: "a mapping of a \(item)'s parameters",
                            at: place(path))
                    }
                    items.append(
                        .object(
                            try parameters.values(object, of: item, from: folder) { key in
                                place(key.map { "\(path).\($0)" } ?? path)
                            }))
                }
                values[key] = .array(items)
                continue
            }
            guard let value = parameter.value(found, from: folder) else {
                throw .wrongValue(of: key, found: found, expected: parameter.expected, at: place(key))
            }
            values[key] = value
        }
        if let missing = first(where: { $0.isRequired && values[$0.name] == nil }) {
            throw .missingParameter(missing.name, of: name, about: missing.about, at: place(nil))
        }
        return values
    }
}

extension [any Parameterized.Type] {
    /// The one of a name; nil when there is none.
    public func named(_ name: String) -> (any Parameterized.Type)? { first { $0.name == name } }

    /// What a name and parameters stand for, as recipes have them.
    ///
    /// - Parameters: as those of ``Parameterized/init(parameters:from:at:)``.
    /// - Throws: ``UserFacingError`` that names an operation or a parameter that is not known, with the nearest one, or a
    ///   value of the wrong kind.
    public func operation(
        _ name: String, _ parameters: JSONObject, from folder: String = "", at place: (String?) -> String
    ) throws(UserFacingError) -> any Parameterized {
        guard let type = named(name) else {
            throw .unknownWord(name, what: "operation", known: map { $0.name }, at: place(nil))
        }
        return try type.init(parameters: parameters, from: folder, at: place)
    }
}

extension UserFacingError {
    /// A word that is none of those that are known.
    package static func unknownWord(
        _ word: String, what: String, known: [String], at place: String
    ) -> Self {
        let all = known.joined(separator: ", ")
        let advice = nearest(to: word, of: known).map { "did you mean \($0)? There are" } ?? "there are"
        return Self(.malformed, "\(place): there is no \(what) '\(word)'; \(advice) \(all)")
    }

    /// A value is of another kind than what it is for.
    package static func wrongValue(of key: String, found: JSON, expected: String, at place: String) -> Self {
        Self(.malformed, "\(place): \(key) is \(found.text), and must be \(expected)")
    }

    fileprivate static func missingParameter(
        _ key: String, of operation: String, about: String, at place: String
    ) -> Self {
        Self(.malformed, "\(place): \(operation) needs \(key): \(about)")
    }

    fileprivate static func undecodable(_ name: String, at place: String) -> Self {
        Self(.malformed, "\(place): a number of \(name) is larger than it can be")
    }

    /// The known word with the fewest changed letters, if they are few.
    private static func nearest(to word: String, of known: [String]) -> String? {
        let distances = known.map { (word: $0, distance: editDistance(Array(word), Array($0))) }
        guard let best = distances.min(by: { $0.distance < $1.distance }),
            best.distance <= max(2, word.count / 3)
        else { return nil }
        return best.word
    }

    /// How many letters have to be put in, taken out or changed to make one word of another (Levenshtein 1966).
    private static func editDistance(_ one: [Character], _ other: [Character]) -> Int {
        var row = Array(0...other.count)
        for (index, letter) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (place, wanted) in other.enumerated() {
                let changed = diagonal + (letter == wanted ? 0 : 1)
                diagonal = row[place + 1]
                row[place + 1] = min(changed, row[place] + 1, row[place + 1] + 1)
            }
        }
        return row[other.count]
    }
}
