/// Where a stream of documents stands; with the same files and seed, all that is needed to go on.
public struct StreamPosition: Codable, Sendable, Equatable {
    /// Passes over the documents that are complete.
    public var epoch = 0
    /// Documents of this pass that were begun.
    public var document = 0
    /// Tokens of the document at hand that were taken.
    public var token = 0
}

/// Where a run's data stands.
public struct DataPosition: Codable, Sendable, Equatable {
    /// Sequences taken from each source.
    public var taken: [Int]
    /// Where each source stands.
    public var streams: [StreamPosition]
}

/// What a run trains on.
public protocol TrainingData {
    /// The next `count` sequences.
    mutating func next(_ count: Int) throws(DataError) -> TokenBatch
    /// Where the data stands; can be set to where it stood before.
    var position: DataPosition { get }
    /// Goes on from where the data stood before.
    mutating func move(to position: DataPosition) throws(DataError)
}
