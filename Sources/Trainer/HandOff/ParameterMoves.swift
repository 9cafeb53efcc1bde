internal import OrderedCollections

/// What a step does to a parameter.
struct ParameterMove: Hashable {
    /// Its share of the step's rate, and its decay.
    var rate: Double, decay: Double
    /// Whether it keeps its bytes.
    var isFrozen: Bool

    static let frozen = ParameterMove(rate: 0, decay: 0, isFrozen: true)
}

/// What is done to each of a framework's parameters, and what of the plan is lost on the way.
struct ParameterMoves {
    /// The parameters by the framework's names, in the order of the model.
    private(set) var moves: OrderedDictionary<String, ParameterMove> = [:]
    /// The tensors whose plan a parameter can't follow, by what is lost.
    private(set) var lost: [HandOffGap: [String]] = [:]

    /// - Parameters:
    ///   - tensors: the model's, in order, with what moves their rows; none for those that aren't trained.
    ///   - parameter: what the framework calls a tensor.
    init(_ tensors: [(name: String, rows: [ClusterJob.Rows])], parameter: (String) -> String) {
        var members: OrderedDictionary<String, [(tensor: String, move: ParameterMove)]> = [:]
        for (name, rows) in tensors {
            let own = OrderedSet(
                rows.map {
                    $0.frozen ? .frozen : ParameterMove(rate: $0.rate, decay: $0.decay, isFrozen: false)
                })
            let move = settle(own.isEmpty ? [.frozen] : Array(own), [name], .frozenRows, .rowRates)
            members[parameter(name), default: []].append((name, move))
        }
        for (name, parts) in members {
            let own = OrderedSet(parts.map(\.move))
            moves[name] = settle(Array(own), parts.map(\.tensor), .tensorRates, .tensorRates)
        }
    }

    /// One move in place of several: where some are trained all are, at the highest of their rates.
    private mutating func settle(
        _ moves: [ParameterMove], _ tensors: [String], _ frozen: HandOffGap, _ rates: HandOffGap
    ) -> ParameterMove {
        let trained = moves.filter { !$0.isFrozen }
        if !trained.isEmpty && trained.count < moves.count { lost[frozen, default: []] += tensors }
        if trained.count > 1 && (frozen != rates || trained.count == moves.count) {
            lost[rates, default: []] += tensors
        }
        return trained.max { $0.rate < $1.rate } ?? .frozen
    }

    /// The names of what is moved alike, in the order of their first.
    var groups: [(move: ParameterMove, names: [String])] {
        OrderedDictionary(grouping: moves.keys.filter { moves[$0]?.isFrozen == false }) {
            moves[$0] ?? .frozen
        }
        .map { ($0, Array($1)) }
    }

    /// The names of what keeps its bytes.
    var frozen: [String] { moves.keys.filter { moves[$0]?.isFrozen == true } }

    /// The paths of the modules of which all parameters keep their bytes, and no module around them does.
    var frozenModules: [String] {
        func prefixes(_ name: String) -> [String] {
            let parts = name.split(separator: ".")
            return (1..<max(1, parts.count)).map { parts[..<$0].joined(separator: ".") }
        }
        let trained = Set(moves.keys.filter { moves[$0]?.isFrozen == false }.flatMap(prefixes))
        var modules: OrderedSet<String> = []
        for name in frozen {
            if let whole = prefixes(name).first(where: { !trained.contains($0) }) { modules.append(whole) }
        }
        return Array(modules)
    }
}

/// Regular expressions for the names of parameters.
enum NamePattern {
    /// An expression that finds these names, whatever stands before the first of their parts.
    static func matching(_ names: [String]) -> String {
        // Names that differ in their numbers alone are one alternative.
        let alike = OrderedDictionary(grouping: names) { name in
            name.split(separator: ".").map { isNumber($0) ? "#" : String($0) }
        }
        let alternatives = alike.values.flatMap { names -> [String] in
            let columns = names.map { $0.split(separator: ".") }.reduce(into: [OrderedSet<Substring>]()) {
                columns, parts in
                for (place, part) in parts.enumerated() {
                    if place == columns.count { columns.append([]) }
                    columns[place].append(part)
                }
            }
            guard columns.reduce(1, { $0 * $1.count }) == names.count else { return names.map(escaped) }
            return [
                columns.map { $0.count == 1 ? escaped(String($0[0])) : "(?:\($0.joined(separator: "|")))" }
                    .joined(separator: #"\."#)
            ]
        }
        let all = alternatives.joined(separator: "|")
        return #"(?:^|\.)"# + (alternatives.count == 1 ? all : "(?:\(all))") + "$"
    }

    private static func isNumber(_ part: Substring) -> Bool { part.allSatisfy(\.isASCII) && Int(part) != nil }

    private static func escaped(_ name: String) -> String { name.replacing(".", with: #"\."#) }
}
