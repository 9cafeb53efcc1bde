/// A column of a Parquet file: a leaf of its schema.
struct ParquetColumn: Sendable {
    /// How its values lie in a file.
    enum Storage: Int, Sendable {
        case boolean, int32, int64, int96, float, double, bytes, fixed

        /// As the format calls it.
        var name: String {
            switch self {
            case .boolean: "BOOLEAN"
            case .int32: "INT32"
            case .int64: "INT64"
            case .int96: "INT96"
            case .float: "FLOAT"
            case .double: "DOUBLE"
            case .bytes: "BYTE_ARRAY"
            case .fixed: "FIXED_LEN_BYTE_ARRAY"
            }
        }
    }

    /// What the values stand for.
    enum Meaning: Sendable, Equatable {
        /// Nothing more than what is stored: numbers, also times of day, or bytes.
        case stored
        /// Days since 1970.
        case day
        /// Moments since 1970, in so many parts of a second: of UTC, or of a place that is not told.
        case moment(perSecond: Int, isUTC: Bool)
        /// Text in UTF-8.
        case text
        /// Whole numbers without a sign.
        case unsigned
        /// What is not read, as the format calls it.
        case other(String)
    }

    /// Its name, and before it those of the structures that it lies in.
    let path: [String]
    let storage: Storage
    let meaning: Meaning
    /// How many of the names may be null: a value is there at that level.
    let optionals: Int
    /// Whether it, or what it lies in, may stand several times in a row.
    let isRepeated: Bool

    /// Its names, divided by dots.
    var name: String { path.joined(separator: ".") }

    /// What it holds, as the format calls it, or that there may be several in a row.
    var kind: String {
        if isRepeated { return "a list" }
        return switch meaning {
        case .stored, .day, .moment: storage.name
        case .text: "STRING"
        case .unsigned: "\(storage.name) (unsigned)"
        case .other(let name): "\(storage.name) (\(name))"
        }
    }

    /// Whether values are read: truth values, whole numbers, floats, bytes.
    var isReadable: Bool {
        if case .other = meaning { return false }
        return storage != .int96 && storage != .fixed && !isRepeated
    }

    /// Whether values are text, or bytes that may be.
    var isText: Bool { isReadable && storage == .bytes }
}

extension ParquetColumn {
    /// The columns of a schema, a list of structures in which those inside follow each.
    static func columns(_ reader: inout ThriftReader, count: Int) throws(ParquetFault) -> [ParquetColumn] {
        var left = count
        guard let root = try Element(&reader, &left), root.children > 0 else {
            throw .damaged("its schema has no columns")
        }
        var columns: [ParquetColumn] = []
        // The structures that are open, and how many of their children are still to come.
        var open = [Place(path: [], optionals: 0, isRepeated: false, left: root.children)]
        while let parent = open.last {
            guard parent.left > 0 else {
                open.removeLast()
                continue
            }
            open[open.count - 1].left -= 1
            guard let element = try Element(&reader, &left) else {
                throw .damaged("its schema has \(count) names and needs more")
            }
            let place = Place(
                path: parent.path + [element.name],
                optionals: parent.optionals + (element.repetition == .required ? 0 : 1),
                isRepeated: parent.isRepeated || element.repetition == .repeated, left: element.children)
            guard element.isLeaf else {
                guard open.count < deepest else {
                    throw .damaged("its schema has structures more than \(deepest) deep")
                }
                open.append(place)
                continue
            }
            guard let storage = element.storage else {
                throw .damaged("its column \(element.name) has no known type")
            }
            columns.append(
                ParquetColumn(
                    path: place.path, storage: storage, meaning: element.meaning, optionals: place.optionals,
                    isRepeated: place.isRepeated))
        }
        guard left == 0 else { throw .damaged("its schema has \(left) names too many") }
        return columns
    }

    /// Structures inside structures beyond any use.
    private static let deepest = 64

    private struct Place {
        let path: [String]
        let optionals: Int
        let isRepeated: Bool
        var left: Int
    }

    private enum Repetition: Int {
        case required, optional, repeated
    }

    /// A name in the schema.
    private struct Element {
        private(set) var name = ""
        private(set) var storage: Storage?
        private(set) var repetition = Repetition.required
        private(set) var children = 0
        private(set) var isLeaf = true
        private(set) var meaning = Meaning.stored

        /// The next one of those that are left; nil when there is none.
        init?(_ reader: inout ThriftReader, _ left: inout Int) throws(ParquetFault) {
            guard left > 0 else { return nil }
            left -= 1
            try reader.enter()
            while let field = try reader.nextField() {
                switch field.number {
                case 1: storage = Storage(rawValue: try reader.integer(field))
                case 3:
                    guard let found = Repetition(rawValue: try reader.integer(field)) else {
                        throw .damaged("its schema has a repetition that is not known")
                    }
                    repetition = found
                case 4: name = try reader.text(field)
                case 5:
                    children = try reader.count(field)
                    isLeaf = false
                case 6:
                    let number = try reader.integer(field)
                    // The newer description, which follows, says the same or more.
                    meaning = Self.converted(number)
                case 10: meaning = try Self.logical(&reader, field)
                default: try reader.skip(field)
                }
            }
        }

        /// What the older description says.
        private static func converted(_ number: Int) -> Meaning {
            switch number {
            case 0, 4, 19: .text
            case 5: .other("DECIMAL")
            case 6: .day
            case 9: .moment(perSecond: 1000, isUTC: true)
            case 10: .moment(perSecond: 1_000_000, isUTC: true)
            case 7, 8, 15...18: .stored
            case 11...14: .unsigned
            case 20: .other("BSON")
            case 21: .other("INTERVAL")
            default: .other("type \(number)")
            }
        }

        /// What the newer description says.
        private static func logical(
            _ reader: inout ThriftReader, _ field: ThriftReader.Field
        ) throws(ParquetFault) -> Meaning {
            var meaning = Meaning.stored
            try reader.enter(field)
            while let choice = try reader.nextField() {
                switch choice.number {
                case 1, 4, 12: meaning = .text
                case 6: meaning = .day
                case 8:
                    meaning = try moment(&reader, choice)
                    continue
                case 7, 11: meaning = .stored
                case 10:
                    try reader.enter(choice)
                    while let part = try reader.nextField() {
                        if part.number == 2 {
                            meaning = try reader.boolean(part) ? .stored : .unsigned
                        } else {
                            try reader.skip(part)
                        }
                    }
                    continue
                default: meaning = .other(names[choice.number] ?? "logical type \(choice.number)")
                }
                try reader.skip(choice)
            }
            return meaning
        }

        /// The unit of moments, and whether they are of UTC.
        private static func moment(
            _ reader: inout ThriftReader, _ field: ThriftReader.Field
        ) throws(ParquetFault) -> Meaning {
            var (perSecond, isUTC) = (1000, false)
            try reader.enter(field)
            while let part = try reader.nextField() {
                switch part.number {
                case 1: isUTC = try reader.boolean(part)
                case 2:
                    try reader.enter(part)
                    while let unit = try reader.nextField() {
                        perSecond = [1: 1000, 2: 1_000_000, 3: 1_000_000_000][unit.number] ?? perSecond
                        try reader.skip(unit)
                    }
                default: try reader.skip(part)
                }
            }
            return .moment(perSecond: perSecond, isUTC: isUTC)
        }

        private static let names = [
            2: "MAP", 3: "LIST", 5: "DECIMAL", 13: "BSON", 14: "UUID", 15: "FLOAT16", 16: "VARIANT",
            17: "GEOMETRY", 18: "GEOGRAPHY",
        ]
    }
}
