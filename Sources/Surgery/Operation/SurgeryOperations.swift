public import Formats

/// All operations there are: what commands, recipes and manifests iterate.
public enum SurgeryOperations {
    /// Every operation, in the order in which help pages name them.
    public static let all: [any SurgeryOperation.Type] = [
        DepthUpScaling.self, LayerArrangement.self, Expansion.self, Pruning.self, VocabularyChange.self,
        Conversion.self,
    ]

    /// The operation of a name; nil when there is none.
    public static func named(_ name: String) -> (any SurgeryOperation.Type)? { all.first { $0.name == name } }

    /// The operation that a name and parameters stand for, as recipes and manifests have them.
    ///
    /// - Parameters:
    ///   - name: the operation's name.
    ///   - parameters: its parameters.
    ///   - place: where they stand, for messages.
    /// - Returns: the operation.
    /// - Throws: ``UserFacingError`` that names an operation or a parameter that is not known, with the nearest one, or a
    ///   value of the wrong kind.
    public static func operation(
        _ name: String, _ parameters: JSONObject, at place: String
    ) throws(UserFacingError) -> any SurgeryOperation {
        guard let type = named(name) else {
            throw .unknownWord(name, what: "operation", known: all.map { $0.name }, at: place)
        }
        if let key = parameters.keys.first(where: { !type.parameterNames.contains($0) }) {
            throw .unknownWord(key, what: "parameter of \(name)", known: type.parameterNames, at: place)
        }
        do {
            return try JSON.object(parameters).decoded(as: type)
        } catch {
            throw .wrongParameter(of: name, error, at: place)
        }
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

    /// A parameter has a value of another kind, or one that is needed is missing.
    package static func wrongParameter(of operation: String, _ error: any Error, at place: String) -> Self {
        let reason =
            switch error {
            case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing, which it needs"
            case DecodingError.typeMismatch(let type, let context):
                "\(path(context.codingPath)) must be \(kind(of: type))"
            case DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty:
                "a value does not fit what it is for, as a fraction where a whole number is wanted"
            case DecodingError.dataCorrupted(let context):
                "\(path(context.codingPath)): \(context.debugDescription)"
            case DecodingError.valueNotFound(_, let context): "\(path(context.codingPath)) is null"
            default: "\(error)"
            }
        return Self(.malformed, "\(place): \(operation): \(reason)")
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }

    private static func kind(of type: Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is any Collection.Type: "a list"
        default: "\(type)"
        }
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
