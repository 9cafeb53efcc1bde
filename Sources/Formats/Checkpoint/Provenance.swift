/// What a tensor was made from, and how: a tree whose leaves are places in the source's files.
///
/// A manifest has one for each tensor. It knows every type and shape, so that it can be understood without the source.
public typealias Provenance = TensorTree<ProvenanceLeaf>

/// What a manifest traces no further.
public indirect enum ProvenanceLeaf: Sendable, Equatable {
    /// A tensor of the source: its file's place among the manifest's sources, its name, and where in the file it begins.
    case copied(file: Int, tensor: String, offset: Int)
    /// Made by a computation that can't be repeated, such as training: what it is called, and what it began with, of the
    /// same shape; nil for what began with nothing that is known.
    case computed(String, from: Provenance?)
}

extension Provenance {
    /// A tensor of the source.
    ///
    /// - Throws: ``UserFacingError`` when no byte count fits the shape.
    public static func copied(
        file: Int, tensor: String, offset: Int, type: ElementType, shape: [Int]
    ) throws(UserFacingError) -> Provenance {
        try .leaf(
            .copied(file: file, tensor: tensor, offset: offset), name: tensor, type: type, shape: shape)
    }

    /// What a computation has made that can't be repeated.
    ///
    /// - Parameters:
    ///   - name: what it is called.
    ///   - type: the type of what was made.
    ///   - shape: its shape.
    ///   - beginning: what it began with; nil for what began with nothing that is known.
    /// - Returns: the tree.
    /// - Throws: ``UserFacingError`` when no byte count fits the shape, or it began with another shape.
    public static func computed(
        _ name: String, type: ElementType, shape: [Int], from beginning: Provenance? = nil
    ) throws(UserFacingError) -> Provenance {
        if let beginning, beginning.shape != shape { throw .cannotReshape(beginning.summary, to: shape) }
        return try .leaf(.computed(name, from: beginning), name: name, type: type, shape: shape)
    }
}

extension TensorExpression {
    /// How it is made, as a manifest keeps it.
    ///
    /// - Parameter sources: the files that leaves are in; those that are not there yet are added.
    /// - Returns: the same tree over places in those files.
    func provenance(_ sources: inout SourceList) -> Provenance {
        mapLeaves { storage in
            guard let origin = storage.origin else {
                return .computed(storage.name, from: storage.beginning?.provenance(&sources))
            }
            return .copied(
                file: sources.place(of: origin.file), tensor: storage.name, offset: origin.offset)
        }
    }
}

/// The files that tensors are taken from, each once.
struct SourceList {
    private(set) var files: [InputFile] = []
    private var places: [ObjectIdentifier: Int] = [:]

    /// A file's place; nil when it is not among them.
    func known(_ file: InputFile) -> Int? { places[ObjectIdentifier(file)] }

    mutating func place(of file: InputFile) -> Int {
        if let place = places[ObjectIdentifier(file)] { return place }
        places[ObjectIdentifier(file)] = files.count
        files.append(file)
        return files.count - 1
    }
}

// MARK: - JSON

extension Provenance {
    /// What a manifest keeps: `op` says what was done last, `of` to what.
    var json: JSON {
        fold { leaf, tree in
            var json: JSON =
                switch leaf {
                case .copied(let file, let tensor, let offset):
                    [
                        "op": "copied", "file": JSON(file), "tensor": .string(tensor), "offset": JSON(offset),
                    ]
                case .computed(let name, nil): ["op": "computed", "name": .string(name)]
                case .computed(let name, let beginning?):
                    ["op": "computed", "name": .string(name), "from": beginning.json]
                }
            json["type"] = .string(tree.type.rawValue)
            json["shape"] = .array(tree.shape.map { JSON($0) })
            return json
        } made: { operation, operands, _ in
            var json = operation.json
            switch operands.count {
            case 0: break
            case 1: json["of"] = operands[0]
            default: json["of"] = .array(operands)
            }
            return json
        }
    }

    /// Reads what a manifest keeps.
    static func read(_ json: JSON, _ reader: ManifestReader) throws(UserFacingError) -> Provenance {
        func checked(
            _ make: () throws(UserFacingError) -> Provenance
        ) throws(UserFacingError) -> Provenance {
            do { return try make() } catch {
                throw error.within(
                    "\(reader.file): the provenance of tensor '\(reader.tensor ?? "")' makes no tensor")
            }
        }
        switch try reader.value(json, "op", "the name of an operation", { $0.string }) {
        case "copied":
            let file = try reader.value(json, "file", "a number") { $0.int }
            let tensor = try reader.value(json, "tensor", "a name") { $0.string }
            let offset = try reader.value(json, "offset", "a number") { $0.int }
            let (type, shape) = (try reader.type(json), try reader.shape(json))
            return try checked { () throws(UserFacingError) in
                try .copied(file: file, tensor: tensor, offset: offset, type: type, shape: shape)
            }
        case "computed":
            let name = try reader.value(json, "name", "a name") { $0.string }
            let (type, shape) = (try reader.type(json), try reader.shape(json))
            var beginning: Provenance?
            if let tree = json["from"] { beginning = try read(tree, reader) }
            return try checked { [beginning] () throws(UserFacingError) in
                try .computed(name, type: type, shape: shape, from: beginning)
            }
        case let op:
            let operation = try TensorOperation(json, op: op, reader)
            var operands: [Provenance] = []
            for operand in json["of"].map({ $0.array ?? [$0] }) ?? [] {
                operands.append(try read(operand, reader))
            }
            return try checked { () throws(UserFacingError) in try .made(operation, of: operands) }
        }
    }
}

extension TensorOperation {
    /// Its name under `op`, and what it needs besides the tensors that it takes.
    var json: JSON {
        switch self {
        case .zeros(let type, let shape):
            [
                "op": "zeroed", "type": .string(type.rawValue),
                "shape": .array(shape.map { JSON($0) }),
            ]
        case .joined: ["op": "joined"]
        case .rows(let range): ["op": "rows", "rows": [JSON(range.lowerBound), JSON(range.upperBound)]]
        case .cast(let type): ["op": "cast", "type": .string(type.rawValue)]
        case .transposed: ["op": "transposed"]
        case .reshaped(let shape): ["op": "reshaped", "shape": .array(shape.map { JSON($0) })]
        case .scaled(let factor): ["op": "scaled", "factor": JSON(Double(factor))]
        case .noised(let rule):
            [
                "op": "noised", "share": JSON(Double(rule.share)), "deviation": JSON(Double(rule.deviation)),
                "seed": .string(String(rule.seed)),
            ]
        case .dequantized(let scheme, let type): scheme.json(type)
        case .derived(let rule): rule.json
        case .weighted(let weights, let type):
            [
                "op": "weighted", "weights": .array(weights.map { JSON(Double($0)) }),
                "type": .string(type.rawValue),
            ]
        case .interpolated(let part, let type):
            ["op": "interpolated", "part": JSON(Double(part)), "type": .string(type.rawValue)]
        case .added(let vectors, let type): vectors.json(type)
        }
    }

    fileprivate init(_ json: JSON, op: String, _ reader: ManifestReader) throws(UserFacingError) {
        switch op {
        case "zeroed": self = .zeros(try reader.type(json), shape: try reader.shape(json))
        case "joined": self = .joined
        case "rows": self = .rows(try reader.range(json, "rows"))
        case "cast": self = .cast(try reader.type(json))
        case "transposed": self = .transposed
        case "reshaped": self = .reshaped(try reader.shape(json))
        case "scaled": self = .scaled(Float(try reader.value(json, "factor", "a number") { $0.double }))
        case "dequantized": self = try Self.dequantized(json, reader)
        case "noised":
            self = .noised(
                NoiseRule(
                    share: Float(try reader.value(json, "share", "a number") { $0.double }),
                    deviation: Float(try reader.value(json, "deviation", "a number") { $0.double }),
                    seed: try reader.value(json, "seed", "a number in quotes") {
                        $0.string.flatMap { UInt64($0) }
                    }))
        case "weighted": self = .weighted(try reader.floats(json, "weights"), try reader.type(json))
        case "interpolated":
            self = .interpolated(
                Float(try reader.value(json, "part", "a number") { $0.double }), try reader.type(json))
        case "added": self = .added(try TaskVectors(json, reader), try reader.type(json))
        default:
            guard let rule = try RowRule(json, op: op, reader) else {
                throw reader.malformed("op", found: "\"\(op)\"", expected: "an operation this program knows")
            }
            self = .derived(rule)
        }
    }
}

extension Dequantization {
    fileprivate func json(_ type: ElementType) -> JSON {
        var json: JSON = ["op": "dequantized", "scheme": .string(name), "type": .string(type.rawValue)]
        if case .blocks(let rows, let columns) = self { json["block"] = [JSON(rows), JSON(columns)] }
        return json
    }
}

extension TensorOperation {
    fileprivate static func dequantized(
        _ json: JSON, _ reader: ManifestReader
    ) throws(UserFacingError) -> TensorOperation {
        let type = try reader.type(json)
        let scheme = try reader.value(json, "scheme", "blocks or microscaled") { $0.string }
        switch scheme {
        case "microscaled": return .dequantized(.microscaled, type)
        case "blocks":
            let block = try reader.value(json, "block", "two numbers") { $0.array?.compactMap(\.int) }
            guard block.count == 2 else {
                throw reader.malformed("block", found: "\(block)", expected: "two numbers")
            }
            return .dequantized(.blocks(rows: block[0], columns: block[1]), type)
        default: throw reader.malformed("scheme", found: scheme, expected: "blocks or microscaled")
        }
    }
}

extension TaskVectors {
    fileprivate func json(_ type: ElementType) -> JSON {
        var json: JSON = [
            "op": "added",
            "vectors": .array(
                vectors.map { vector in
                    var json: JSON = ["weight": JSON(Double(vector.weight))]
                    switch vector.kept {
                    case .all: break
                    case .largest(let share): json["largest"] = JSON(share)
                    case .random(let share, let seed):
                        json["random"] = JSON(share)
                        json["seed"] = .string(String(seed))
                    }
                    return json
                }), "factor": JSON(Double(factor)), "type": .string(type.rawValue),
        ]
        if rescales { json["rescaled"] = true }
        if let election { json["elected"] = .string(election.rawValue) }
        if normalizes { json["normalized"] = true }
        return json
    }

    fileprivate init(_ json: JSON, _ reader: ManifestReader) throws(UserFacingError) {
        let vectors = try reader.list(json, "vectors") { (vector) throws(UserFacingError) in
            let weight = Float(try reader.value(vector, "weight", "a number") { $0.double })
            if vector["largest"] != nil {
                return Vector(
                    weight: weight,
                    kept: .largest(try reader.value(vector, "largest", "a share") { $0.double }))
            }
            guard vector["random"] != nil else { return Vector(weight: weight) }
            return Vector(
                weight: weight,
                kept: .random(
                    try reader.value(vector, "random", "a share") { $0.double },
                    seed: try reader.value(vector, "seed", "a whole number in quotes") {
                        $0.string.flatMap(UInt64.init)
                    }))
        }
        self.init(
            vectors, rescales: json["rescaled"]?.bool == true,
            election: try json["elected"].map { _ throws(UserFacingError) in
                try reader.value(json, "elected", "sum or count") { $0.string.flatMap(Election.init) }
            }, normalizes: json["normalized"]?.bool == true,
            factor: Float(try reader.value(json, "factor", "a number") { $0.double }))
    }
}

extension RowRule {
    fileprivate var json: JSON {
        var json: JSON = ["op": .string(name)]
        switch self {
        case .gathered(let rows): json["rows"] = .array(rows.map { JSON(Int($0)) })
        case .combined(let combinations): combinations.write(to: &json)
        case .mean(let range, let count):
            json["rows"] = [JSON(range.lowerBound), JSON(range.upperBound)]
            json["count"] = JSON(count)
        case .sampled(let sample):
            json["rows"] = [JSON(sample.range.lowerBound), JSON(sample.range.upperBound)]
            json["count"] = JSON(sample.count)
            json["variance"] = JSON(sample.variance)
            json["seed"] = .string(String(sample.seed))
        }
        return json
    }

    /// The rule that an operation's JSON describes; nil when the operation is no rule.
    fileprivate init?(_ json: JSON, op: String, _ reader: ManifestReader) throws(UserFacingError) {
        switch op {
        case "gathered":
            self = .gathered(
                try reader.list(json, "rows") { (row) throws(UserFacingError) in try reader.row(row) })
        case "combined": self = .combined(try RowCombinations(json, reader))
        case "mean":
            self = .mean(
                of: try reader.range(json, "rows"),
                count: try reader.value(json, "count", "a number") { $0.int })
        case "sampled":
            self = .sampled(
                RowSample(
                    range: try reader.range(json, "rows"),
                    count: try reader.value(json, "count", "a number") { $0.int },
                    variance: try reader.value(json, "variance", "a number") { $0.double },
                    seed: try reader.value(json, "seed", "a whole number in quotes") {
                        $0.string.flatMap(UInt64.init)
                    }))
        default: return nil
        }
    }
}

extension RowCombinations {
    /// A list of rows for each sum; weights stand beside it where they are not all the mean's.
    fileprivate func write(to json: inout JSON) {
        json["rows"] = .array(
            (0..<count).map { sum in .array(places(of: sum).map { JSON(Int(rows[$0])) }) })
        let isMean = (0..<count).allSatisfy { sum in
            let places = places(of: sum)
            return weights[places].allSatisfy { $0 == 1 / Float(places.count) }
        }
        if !isMean {
            json["weights"] = .array(
                (0..<count).map { sum in .array(places(of: sum).map { JSON(Double(weights[$0])) }) })
        }
    }

    fileprivate init(_ json: JSON, _ reader: ManifestReader) throws(UserFacingError) {
        self.init()
        let lists = try reader.value(json, "rows", "lists of rows") { $0.array }
        let weights = json["weights"] == nil ? nil : try reader.value(json, "weights", "lists") { $0.array }
        for (index, list) in lists.enumerated() {
            guard let elements = list.array else {
                throw reader.malformed("rows", found: list.kind, expected: "a list of rows for each new row")
            }
            var rows: [Int32] = []
            for row in elements { rows.append(try reader.row(row)) }
            guard let weights else {
                append(meanOf: rows)
                continue
            }
            let numbers = weights.indices.contains(index) ? weights[index].array?.compactMap(\.double) : nil
            guard let numbers, numbers.count == rows.count else {
                throw reader.malformed(
                    "weights", found: "another number of weights than rows", expected: "a weight a row")
            }
            append(rows, weights: numbers.map { Float($0) })
        }
    }
}

extension ManifestReader {
    fileprivate func type(_ json: JSON) throws(UserFacingError) -> ElementType {
        try value(json, "type", "a type such as \"BF16\"") { $0.string.flatMap(ElementType.init(rawValue:)) }
    }

    fileprivate func shape(_ json: JSON) throws(UserFacingError) -> [Int] {
        try list(json, "shape") { (dimension) throws(UserFacingError) in
            guard let size = dimension.int, size >= 0 else {
                throw malformed("shape", found: dimension.kind, expected: "a whole number from 0 on")
            }
            return size
        }
    }

    fileprivate func floats(_ json: JSON, _ key: String) throws(UserFacingError) -> [Float] {
        try list(json, key) { (number) throws(UserFacingError) in
            guard let value = number.double else {
                throw malformed(key, found: number.kind, expected: "numbers")
            }
            return Float(value)
        }
    }

    /// A row's number.
    fileprivate func row(_ json: JSON) throws(UserFacingError) -> Int32 {
        guard let row = json.int.flatMap(Int32.init(exactly:)), row >= 0 else {
            throw malformed("rows", found: json.kind, expected: "a row's number")
        }
        return row
    }

    /// Two numbers, the first no larger.
    fileprivate func range(_ json: JSON, _ key: String) throws(UserFacingError) -> Range<Int> {
        let bounds = try value(json, key, "two numbers") { $0.array?.compactMap(\.int) }
        guard bounds.count == 2, bounds[0] >= 0, bounds[0] <= bounds[1] else {
            throw malformed(key, found: "\(bounds)", expected: "two numbers, the first no larger")
        }
        return bounds[0]..<bounds[1]
    }
}
