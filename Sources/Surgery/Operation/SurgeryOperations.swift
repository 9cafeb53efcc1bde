public import Formats

/// All operations there are: what commands, recipes and manifests iterate.
public enum SurgeryOperations {
    /// Every operation, in the order in which help pages name them.
    public static let all: [any SurgeryOperation.Type] = [
        DepthUpScaling.self, LayerArrangement.self, Expansion.self, Pruning.self, VocabularyChange.self,
        Conversion.self, Merge.self,
    ]

    /// The operation of a name; nil when there is none.
    public static func named(_ name: String) -> (any SurgeryOperation.Type)? { all.first { $0.name == name } }

    /// The operation that a name and parameters stand for, as recipes and manifests have them.
    ///
    /// - Parameters:
    ///   - name: the operation's name.
    ///   - parameters: its parameters.
    ///   - folder: what relative paths among them count from; empty for the current folder.
    ///   - place: where a parameter stands, for messages; of the operation itself for nil.
    /// - Returns: the operation.
    /// - Throws: ``UserFacingError`` that names an operation or a parameter that is not known, with the nearest one, or a
    ///   value of the wrong kind.
    public static func operation(
        _ name: String, _ parameters: JSONObject, from folder: String = "", at place: (String?) -> String
    ) throws(UserFacingError) -> any SurgeryOperation {
        guard let type = named(name) else {
            throw .unknownWord(name, what: "operation", known: all.map { $0.name }, at: place(nil))
        }
        var values = JSONObject()
        for (key, given) in parameters where !given.isNull {
            guard let parameter = type.parameterList.first(where: { $0.name == key }) else {
                throw .unknownWord(
                    key, what: "parameter of \(name)", known: type.parameterList.map(\.name), at: place(key))
            }
            guard let value = parameter.value(given, from: folder) else {
                throw .wrongValue(of: key, found: given, expected: parameter.expected, at: place(key))
            }
            values[key] = value
        }
        if let missing = type.parameterList.first(where: { $0.isRequired && values[$0.name] == nil }) {
            throw .missingParameter(missing.name, of: name, about: missing.about, at: place(nil))
        }
        do {
            return try JSON.object(values).decoded(as: type)
        } catch {
            throw Self.undecodable(name, error, at: place(nil))
        }
    }

    /// Every value was checked, so only numbers that are too large are left.
    private static func undecodable(_ name: String, _ error: any Error, at place: String) -> UserFacingError {
        UserFacingError(.malformed, "\(place): a number of \(name) is larger than it can be")
    }
}

extension UserFacingError {
    /// A word that is none of those that are known.
    package static func unknownWord(
        _ word: String, what: String, known: [String], at place: String
    ) -> Self {
        let near = nearest(to: word, of: known).map { "did you mean \($0)? " } ?? ""
        return Self(
            .malformed,
            "\(place): there is no \(what) '\(word)'; \(near)There are \(known.joined(separator: ", "))")
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
