public import Formats

/// What a run trains on.
public protocol TrainingData {
    /// The next `count` sequences; what lies beyond the end of the data asks for nothing.
    mutating func next(_ count: Int) throws(UserFacingError) -> TokenBatch
    /// What was shown so far, by source.
    var sources: [SourceProgress] { get }
    /// Where the data stands; can be set to where it stood before.
    var position: DataPosition { get }
    /// Goes on from where the data stood before.
    mutating func move(to position: DataPosition) throws(UserFacingError)
    /// Begins where other data of the same making stands, so that nothing is read again before all was read.
    ///
    /// What is shown counts on, and how long the data goes counts from here.
    mutating func begin(at position: DataPosition) throws(UserFacingError)
}

/// How much of a source was shown.
public struct SourceProgress: Codable, Sendable, Equatable {
    /// What the source is called.
    public let name: String
    /// The tokens that were shown, starts and ends included.
    public let shown: Int
    /// The tokens that one pass shows.
    public let size: Int
    /// How many of those that were shown are of documents marked as synthetic; nil where no document is.
    public var synthetic: Int?

    /// Tokens shown for each token that there is.
    public var passes: Double { Double(shown) / Double(size) }
    /// The share of the tokens that were shown at least once, since a pass shows each once.
    public var coverage: Double { min(1, passes) }
}

/// What reports say of a source.
public struct SourceFigures: Codable, Sendable, Equatable {
    /// Tokens shown for each token that there is.
    public var passes: Double
    /// The share of the tokens that were shown at least once.
    public var coverage: Double
    /// The tokens that were shown.
    public var tokens: Int
    /// How many of them are of documents marked as synthetic; nil where no document of the source is.
    public var synthetic: Int?
}

extension [SourceProgress] {
    /// The tokens that were shown.
    var tokens: Int { reduce(0) { $0 + $1.shown } }

    /// The share of them that is of documents marked as synthetic.
    var syntheticShare: Double {
        Double(reduce(0) { $0 + ($1.synthetic ?? 0) }) / Double(Swift.max(1, tokens))
    }

    /// What was shown in all, of these and of others; sources of one name are one.
    func adding(_ others: [SourceProgress]) -> [SourceProgress] {
        others.reduce(into: self) { all, other in
            if let index = all.firstIndex(where: { $0.name == other.name }) {
                all[index] = SourceProgress(
                    name: other.name, shown: all[index].shown + other.shown, size: other.size,
                    synthetic: all[index].synthetic.map { $0 + (other.synthetic ?? 0) } ?? other.synthetic)
            } else {
                all.append(other)
            }
        }
    }

    /// The figures by name.
    public var figures: [String: SourceFigures] {
        Dictionary(
            map {
                (
                    $0.name,
                    SourceFigures(
                        passes: $0.passes, coverage: $0.coverage, tokens: $0.shown, synthetic: $0.synthetic)
                )
            }
        ) { first, _ in first }
    }
}

/// Where a stream of documents stands; with the same source and seed, all that is needed to go on.
public struct StreamPosition: Codable, Sendable, Equatable {
    /// The place at which the block of sequences begins that is read: which pass, which of its documents, which token.
    public var pass: Int, document: Int, token: Int
    /// Sequences of the block that were handed out.
    public var sequence: Int
    /// Tokens that were handed out in all; where they are no whole number of sequences, the rest lies in the sequence
    /// that is next.
    public var shown: Int
    /// How many of them are of documents marked as synthetic; nil where no document is.
    public var synthetic: Int?
}

/// Where a run's data stands.
public struct DataPosition: Codable, Sendable, Equatable {
    /// Rows of tokens that were handed out; nil where the data is text.
    public var rows: Int?
    /// Where each source of text stands.
    public var sources: [StreamPosition] = []
    /// What had been handed out when the data began: tokens of each source, or rows; above zero where it goes on from
    /// other data.
    public var begun: [Int] = []
}

/// Data that is not there, as a dry run may find.
struct AbsentData: TrainingData {
    let sources: [SourceProgress] = []
    let position = DataPosition()
    func next(_ count: Int) throws(UserFacingError) -> TokenBatch {
        preconditionFailure("a run begins with all its data")
    }
    func move(to position: DataPosition) throws(UserFacingError) {}
    func begin(at position: DataPosition) throws(UserFacingError) {}
}
