extension RowRule {
    /// The names of all rules.
    static let names: Set<String> = ["gathered", "combined", "mean", "sampled"]

    /// What a manifest keeps of it, besides its name.
    var json: JSON {
        switch self {
        case .gathered(let rows): ["rows": .array(rows.map { JSON(Int($0)) })]
        case .combined(let combinations): combinations.json
        case .mean(let range, let count):
            ["rows": [JSON(range.lowerBound), JSON(range.upperBound)], "count": JSON(count)]
        case .sampled(let sample):
            [
                "rows": [JSON(sample.range.lowerBound), JSON(sample.range.upperBound)],
                "count": JSON(sample.count), "variance": JSON(sample.variance),
                "seed": .string(String(sample.seed)),
            ]
        }
    }

    /// Reads what a manifest keeps.
    init(_ json: JSON, how: String, _ reader: ManifestReader) throws(ManifestError) {
        switch how {
        case "gathered":
            self = .gathered(
                try reader.list(json, "rows") { (row) throws(ManifestError) in try reader.row(row) })
        case "combined": self = .combined(try RowCombinations(json, reader))
        case "mean":
            self = .mean(
                of: try reader.range(json, "rows"),
                count: try reader.value(json, "count", "a number") { $0.int })
        default:
            self = .sampled(
                RowSample(
                    range: try reader.range(json, "rows"),
                    count: try reader.value(json, "count", "a number") { $0.int },
                    variance: try reader.value(json, "variance", "a number") { $0.double },
                    seed: try reader.value(json, "seed", "a whole number in quotes") {
                        $0.string.flatMap(UInt64.init)
                    }))
        }
    }
}

extension RowCombinations {
    /// A list of rows for each sum; weights stand beside it where they are not all the mean's.
    fileprivate var json: JSON {
        var json: JSON = [
            "rows": .array((0..<count).map { sum in .array(places(of: sum).map { JSON(Int(rows[$0])) }) })
        ]
        let isMean = (0..<count).allSatisfy { sum in
            let places = places(of: sum)
            return weights[places].allSatisfy { $0 == 1 / Float(places.count) }
        }
        if !isMean {
            json["weights"] = .array(
                (0..<count).map { sum in .array(places(of: sum).map { JSON(Double(weights[$0])) }) })
        }
        return json
    }

    fileprivate init(_ json: JSON, _ reader: ManifestReader) throws(ManifestError) {
        self.init()
        let lists = try reader.value(json, "rows", "lists of rows") { $0.array }
        let weights = json["weights"] == nil ? nil : try reader.value(json, "weights", "lists") { $0.array }
        for (index, list) in lists.enumerated() {
            var rows: [Int32] = []
            for row in list.array ?? [] { rows.append(try reader.row(row)) }
            guard let weights else {
                append(meanOf: rows)
                continue
            }
            let numbers = weights.indices.contains(index) ? weights[index].array?.compactMap(\.double) : nil
            guard let numbers, numbers.count == rows.count else {
                throw .malformed(
                    file: reader.file, key: "weights", found: "another number of weights than rows",
                    expected: "a weight a row")
            }
            append(rows, weights: numbers.map { Float($0) })
        }
    }
}

extension ManifestReader {
    /// A row's number.
    fileprivate func row(_ json: JSON) throws(ManifestError) -> Int32 {
        guard let row = json.int.flatMap(Int32.init(exactly:)), row >= 0 else {
            throw .malformed(file: file, key: "rows", found: json.kind, expected: "a row's number")
        }
        return row
    }

    /// Two numbers, the first no larger.
    fileprivate func range(_ json: JSON, _ key: String) throws(ManifestError) -> Range<Int> {
        let bounds = try value(json, key, "two numbers") { $0.array?.compactMap(\.int) }
        guard bounds.count == 2, bounds[0] >= 0, bounds[0] <= bounds[1] else {
            throw .malformed(
                file: file, key: key, found: "\(bounds)", expected: "two numbers, the first no larger")
        }
        return bounds[0]..<bounds[1]
    }
}
