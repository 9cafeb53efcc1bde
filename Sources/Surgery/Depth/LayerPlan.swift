public import Formats

/// Which layer of a model each layer of another one is made from: numbers, nothing else.
public struct LayerPlan: Sendable, Equatable {
    /// How many layers the source has.
    public let sourceCount: Int
    /// The source's layers in the order of the result, one run of consecutive layers a copy.
    public let runs: [Range<Int>]

    /// A plan of consecutive layers, one run after another.
    ///
    /// - Parameters:
    ///   - runs: layers of the source, each run not empty.
    ///   - sourceCount: how many layers the source has.
    /// - Throws: ``UserFacingError`` when a run is empty or has layers that the source has not.
    public init(runs: [Range<Int>], of sourceCount: Int) throws(UserFacingError) {
        for run in runs where run.isEmpty || run.lowerBound < 0 || run.upperBound > sourceCount {
            throw .layersOutside(run: run, from: sourceCount)
        }
        self.sourceCount = sourceCount
        self.runs = runs
    }

    /// How many layers the result has.
    public var count: Int { runs.reduce(0) { $0 + $1.count } }

    /// For each layer of the result, the layer of the source it is made from.
    public var origins: [Int] { runs.flatMap { Array($0) } }

    /// Whether something that every `period`-th layer has stays where counting would find it.
    ///
    /// It does when each layer moves by a multiple of the period, whatever the phase.
    public func keeps(period: Int) -> Bool {
        origins.enumerated().allSatisfy { ($0.offset - $0.element).isMultiple(of: period) }
    }

    /// How many layers at the result's start are made from the source's first `count`, when no later one is.
    ///
    /// - Returns: nil when the layers made from them are not all at the start.
    public func leading(_ count: Int) -> Int? {
        let isLeading = origins.map { $0 < count }
        let length = isLeading.prefix { $0 }.count
        return isLeading.dropFirst(length).contains(true) ? nil : length
    }

    /// How many layers at the result's end are made from the source's last `count`, when no earlier one is.
    ///
    /// - Returns: nil when the layers made from them are not all at the end.
    public func trailing(_ count: Int) -> Int? {
        leading(sourceCount - count).map { self.count - $0 }
    }
}

extension LayerPlan: CustomStringConvertible {
    /// "layers 0–23, then 8–31".
    public var description: String {
        "layers "
            + runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound - 1)" }
            .joined(separator: ", then ")
    }
}
