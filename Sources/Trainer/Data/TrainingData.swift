public import Formats

/// Where a stream of documents stands; with the same files and seed, all that is needed to go on.
public struct StreamPosition: Codable, Sendable, Equatable {
    /// Where one lane stands: which document of all passes it reads, and how many of its tokens were taken.
    public struct Lane: Codable, Sendable, Equatable {
        /// Counts documents over all passes, from 0.
        public var document: Int
        /// Tokens of it that were taken.
        public var token: Int
    }

    /// The document that the next lane that runs out begins.
    public var next: Int
    /// Sequences that were taken.
    public var turn: Int
    /// The lanes.
    public var lanes: [Lane]
}

/// Where a run's data stands.
public struct DataPosition: Codable, Sendable, Equatable {
    /// Sequences taken from each source.
    public var taken: [Int]
    /// Where each source of text stands.
    public var streams: [StreamPosition]
}

/// What a run trains on.
public protocol TrainingData {
    /// The next `count` sequences.
    mutating func next(_ count: Int) throws(UserFacingError) -> TokenBatch
    /// Where the data stands; can be set to where it stood before.
    var position: DataPosition { get }
    /// Goes on from where the data stood before.
    mutating func move(to position: DataPosition) throws(UserFacingError)
}
