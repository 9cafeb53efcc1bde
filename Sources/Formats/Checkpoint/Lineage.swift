public import OrderedCollections

/// What a tensor of a result is to the source that it was made from, row by row.
///
/// A manifest answers it of every tensor: ``Manifest/lineage``. Rows are those of the first axis; a tensor without axes
/// has one.
public struct Lineage: Sendable, Equatable {
    /// What a run of rows is.
    public enum Kind: String, Sendable, CaseIterable {
        /// The source's numbers, in whatever type.
        case copied
        /// The same, where an earlier tensor of the result has them already.
        case duplicated
        /// Numbers that the source does not have: zeros, and rows that begin as a mixture of others.
        case fresh
        /// The source's numbers, scaled or with noise.
        case changed
        /// What a computation has made that can't be repeated, such as training.
        case computed
    }

    /// Neighbouring rows that are alike.
    public struct Run: Sendable, Equatable {
        /// Which rows of this tensor.
        public var rows: Range<Int>
        /// What they are.
        public var kind: Kind
        /// The source's tensor whose numbers they are made of, or, for `computed`, began with; nil where there is none.
        public var source: Place?
    }

    /// A place in the source.
    public struct Place: Sendable, Hashable {
        /// The file's place among the manifest's sources.
        public let file: Int
        /// The tensor's name there.
        public let tensor: String
        /// The first row.
        public var row: Int
    }

    /// The runs, which are all rows, in order; none where there are no rows.
    public let runs: [Run]

    /// What all rows are; nil when they differ.
    public var kind: Kind? {
        guard let first = runs.first?.kind, runs.allSatisfy({ $0.kind == first }) else { return nil }
        return first
    }

    /// How many rows are of a kind.
    public func count(_ kind: Kind) -> Int {
        runs.reduce(0) { $0 + ($1.kind == kind ? $1.rows.count : 0) }
    }
}

extension Manifest {
    /// What each tensor is to the source, by its name.
    ///
    /// Of several that have the same rows the first in the layers' order is a copy, the others are duplicates.
    public var lineage: OrderedDictionary<String, Lineage> {
        var result: OrderedDictionary<String, Lineage> = [:]
        for name in provenance.keys { result[name] = Lineage(runs: []) }
        var seen: Set<Lineage.Place> = []
        for name in provenance.keys.sorted(by: { NaturalOrder.precedes($0, $1) }) {
            guard let tree = provenance[name] else { continue }
            var runs = tree.runs.joined()
            var starts: [Lineage.Place] = []
            for index in runs.indices where runs[index].kind == .copied {
                guard let place = runs[index].source else { continue }
                if seen.contains(place) { runs[index].kind = .duplicated } else { starts.append(place) }
            }
            // A tensor is no duplicate of its own rows.
            seen.formUnion(starts)
            result[name] = Lineage(runs: runs)
        }
        return result
    }
}

extension Provenance {
    /// What its rows are, before it is known which are duplicates.
    package var lineage: Lineage { Lineage(runs: runs.joined()) }

    fileprivate var runs: [Lineage.Run] {
        fold { leaf, tree in
            switch leaf {
            case .copied(let file, let tensor, _):
                let place = Lineage.Place(file: file, tensor: tensor, row: 0)
                return [Lineage.Run(rows: 0..<tree.height, kind: .copied, source: place)]
            case .computed(_, let beginning):
                return beginning?.runs.map { $0.computed }
                    ?? [Lineage.Run(rows: 0..<tree.height, kind: .computed)]
            }
        } made: { operation, operands, tree in
            switch operation {
            case .zeros: [Lineage.Run(rows: 0..<tree.height, kind: .fresh)]
            case .joined: Self.joined(operands)
            case .rows(let range): operands[0].compactMap { $0.clamped(to: range) }.joined()
            case .cast: operands[0]
            case .transposed, .reshaped: Self.whole(operands[0], height: tree.height)
            case .scaled, .noised: operands[0].map { $0.changed }
            case .dequantized: Self.whole(operands[0], height: tree.height)
            case .derived(.gathered(let rows)): Self.gathered(rows, of: operands[0])
            case .derived: [Lineage.Run(rows: 0..<tree.height, kind: .fresh)]
            case .weighted, .interpolated, .added: Self.summed(operands)
            }
        }
    }

    /// How many rows there are.
    private var height: Int { shape.first ?? 1 }

    private static func joined(_ parts: [[Lineage.Run]]) -> [Lineage.Run] {
        var runs: [Lineage.Run] = []
        for part in parts {
            let start = runs.last?.rows.upperBound ?? 0
            runs += part.map { $0.moved(by: start) }
        }
        return runs.joined()
    }

    /// Rows into which those of each operand went: changed ones of the first that is not fresh there.
    private static func summed(_ operands: [[Lineage.Run]]) -> [Lineage.Run] {
        let ends = Set(operands.joined().map(\.rows.upperBound)).sorted()
        return zip([0] + ends, ends).compactMap { start, end -> Lineage.Run? in
            let parts = operands.compactMap { runs in
                runs.lazy.compactMap { $0.clamped(to: start..<end) }.first?.moved(by: start).changed
            }
            return parts.first { $0.kind != .fresh } ?? parts.first
        }.joined()
    }

    /// Rows that no longer are the operand's: all of one kind, where those are.
    private static func whole(_ runs: [Lineage.Run], height: Int) -> [Lineage.Run] {
        guard let first = runs.first else { return [] }
        if runs.count == 1 { return [Lineage.Run(rows: 0..<height, kind: first.kind, source: first.source)] }
        let kind = runs.allSatisfy { $0.kind == first.kind } ? first.kind : .changed
        return [Lineage.Run(rows: 0..<height, kind: kind, source: kind == .fresh ? nil : first.source)]
    }

    private static func gathered(_ rows: [Int32], of runs: [Lineage.Run]) -> [Lineage.Run] {
        rows.indices.compactMap { place in
            let row = Int(rows[place])
            return runs.first { $0.rows.contains(row) }?.clamped(to: row..<row + 1)?.moved(by: place)
        }.joined()
    }
}

extension Lineage.Run {
    /// The part of it that lies in a range, counted from the range's start.
    fileprivate func clamped(to range: Range<Int>) -> Self? {
        let part = rows.clamped(to: range)
        guard !part.isEmpty else { return nil }
        var run = self
        run.source?.row += part.lowerBound - rows.lowerBound
        run.rows = part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound
        return run
    }

    fileprivate func moved(by distance: Int) -> Self {
        var run = self
        run.rows = rows.lowerBound + distance..<rows.upperBound + distance
        return run
    }

    fileprivate var computed: Self {
        var run = self
        run.kind = .computed
        return run
    }

    fileprivate var changed: Self {
        var run = self
        if kind == .copied { run.kind = .changed }
        return run
    }
}

extension Sequence<Lineage.Run> {
    /// Runs of which each goes on where the one before it ended are one.
    fileprivate func joined() -> [Lineage.Run] {
        var runs: [Lineage.Run] = []
        for run in self where !run.rows.isEmpty {
            if let last = runs.last, last.kind == run.kind, last.following == run.source {
                runs[runs.count - 1].rows = last.rows.lowerBound..<run.rows.upperBound
            } else {
                runs.append(run)
            }
        }
        return runs
    }
}

extension Lineage.Run {
    /// Where the next row would come from.
    fileprivate var following: Lineage.Place? {
        var place = source
        place?.row += rows.count
        return place
    }
}
