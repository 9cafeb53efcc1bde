internal import CKernels
internal import Dispatch

/// Weighted sums of many source rows for some new rows: Σ zᵢ (xᵢ − mean) over the source rows xᵢ, where the zᵢ are
/// standard normal numbers.
///
/// Each sum follows from its row's number alone, with any number of threads and on every CPU: it is added up in the
/// order of the source rows, and nothing but products and sums that are rounded one by one goes into it.
struct RowDraws: Sendable {
    /// The new rows.
    let rows: Range<Int>
    private let width: Int
    private let seed: UInt64
    /// The sums in tiles of 64 rows and 64 columns, row by row of tiles.
    private let tiles: [Guarded<[Float]>]

    private static let side = Int(CK_TILE)
    /// The most bytes of sums that are held at once.
    private static let memory = 32 << 20

    /// Sums that are zero yet, of as many rows as memory is taken for and `row` is one of.
    init(around row: Int, of count: Int, width: Int, seed: UInt64) {
        let rowSize = Self.columns(width) * Self.side * 4
        let height = max(1, Self.memory / (rowSize * Self.side)) * Self.side
        let first = row / height * height
        rows = first..<min(count, first + height)
        self.width = width
        self.seed = seed
        let size = Self.side * Self.side
        tiles = (0..<(rows.count + Self.side - 1) / Self.side * Self.columns(width)).map { _ in
            Guarded([Float](repeating: 0, count: size))
        }
    }

    /// How many tiles stand side by side.
    private static func columns(_ width: Int) -> Int { (width + side - 1) / side }

    /// How many source rows at most are best added at once, so that they take 4 MiB.
    static func blockHeight(width: Int) -> Int { max(1, (4 << 20) / (columns(width) * side * 4)) }

    /// Adds the products of some source rows.
    ///
    /// - Parameters:
    ///   - block: the source rows, one behind the other.
    ///   - first: the number of the first one.
    ///   - count: how many there are.
    ///   - mean: what is taken from each.
    func add(_ block: [Float], first: Int, count: Int, minus mean: [Float]) {
        precondition(block.count >= count * width && mean.count == width, "rows are as wide as their mean")
        let (width, seed, tiles, start, side) = (width, seed, tiles, rows.lowerBound, Self.side)
        let columns = Self.columns(width)
        let (height, tall) = (tiles.count / max(columns, 1), rows.count)
        let centered = mapConcurrently(columns, threads: columns) { column in
            var tile = [Float](repeating: 0, count: count * side)
            unsafe ck_center_tile(&tile, block, mean, count, width, column * side)
            return tile
        }
        let normals = mapConcurrently(height, threads: height) { row in
            CounterNoise.normals(seed, tile: start / side + row, first: first, count: count)
        }
        DispatchQueue.concurrentPerform(iterations: tiles.count) { index in
            let (row, column) = index.quotientAndRemainder(dividingBy: columns)
            // The kernel takes four rows at a time.
            let used = (min(side, tall - row * side) + 3) / 4 * 4
            tiles[index].withLock { sums in
                unsafe ck_add_products(&sums, normals[row], centered[column], used, count)
            }
        }
    }

    /// One row's sums, which are scaled and added to the mean.
    func draw(_ row: Int, mean: [Double], scale: Double, into numbers: inout ArraySlice<Double>) {
        let (side, columns, start) = (Self.side, Self.columns(width), numbers.startIndex)
        let (tile, line) = (row - rows.lowerBound).quotientAndRemainder(dividingBy: side)
        for column in 0..<columns {
            let sums = tiles[tile * columns + column].withLock { $0 }
            for place in column * side..<min(width, (column + 1) * side) {
                numbers[start + place] = mean[place] + scale * Double(sums[line * side + place % side])
            }
        }
    }
}
