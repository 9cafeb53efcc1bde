internal import COpenBLAS

/// A row-major matrix, perhaps kept in fewer bits than it is computed in.
struct Matrix {
    var values: Stored<CPUBuffer>
    /// Values from one row's start to the next's.
    var stride: Int
    /// Whether the product reads it transposed.
    var transposed = false

    init(_ values: Stored<CPUBuffer>, stride: Int, transposed: Bool = false) {
        (self.values, self.stride, self.transposed) = (values, stride, transposed)
    }

    init(_ values: CPUBuffer, stride: Int, transposed: Bool = false) {
        self.init(Stored(values: values), stride: stride, transposed: transposed)
    }

    var isPacked: Bool { values.precision != .f32 }

    /// Where the values from row `i` and column `j` of the factor on begin; it is not packed.
    @unsafe func pointer(_ i: Int, _ j: Int) -> UnsafeMutablePointer<Float> {
        unsafe values.words.pointer + (transposed ? j * stride + i : i * stride + j)
    }
}

extension CPUEngine {
    /// c(m, n) = op(a)(m, k) · op(b)(k, n), added to c when `accumulate`.
    ///
    /// b, or else c, may be packed: a part of b is unpacked, or a tile of c packed, in its thread's own memory.
    func multiply(_ c: Matrix, _ a: Matrix, _ b: Matrix, m: Int, n: Int, k: Int, accumulate: Bool = false) {
        precondition(!a.isPacked && !(b.isPacked && c.isPacked))
        let (tileM, tileN) = Self.tile(m: m, n: n)
        let columns = (n + tileN - 1) / tileN
        let memory = b.isPacked || c.isPacked ? scratch(count: threads * Self.tileMemory) : nil
        pool.run(.matrixProduct, (m + tileM - 1) / tileM * columns) { task, thread in
            let i = task / columns * tileM
            let j = task % columns * tileN
            let rows = i..<min(i + tileM, m)
            let columns = j..<min(j + tileN, n)
            let own = memory?[thread * Self.tileMemory..<(thread + 1) * Self.tileMemory]
            if let own, c.isPacked {
                unsafe packedTile(c, a, b, rows, columns, k, accumulate, own.pointer)
            } else if let own {
                unsafe tileOfPacked(c, a, b, rows, columns, k, accumulate, own.pointer)
            } else {
                unsafe sgemm(
                    c.pointer(i, j), c.stride, a, b.pointer(0, j), b.stride, b.transposed, rows,
                    columns.count,
                    0..<k, accumulate)
            }
        }
    }

    /// Values that a thread may need to unpack a part of a factor, or to compute a tile that is packed then.
    static let tileMemory = largestTile.m * largestTile.n

    /// The largest tile of an output.
    private static let largestTile = (m: 512, n: 768)

    /// The size of the output tiles of a product.
    ///
    /// Tiles of 512 × 768 run at the rate of whole products (measured: 100 GFLOP/s, 94 with 256 × 384); a product
    /// that has fewer than four of them is split further, so that four threads find work.
    static func tile(m: Int, n: Int) -> (m: Int, n: Int) {
        var tile = (m: evenly(m, at: largestTile.m), n: evenly(n, at: largestTile.n))
        func count(_ size: Int, _ tile: Int) -> Int { (size + tile - 1) / tile }
        while count(m, tile.m) * count(n, tile.n) < 4, max(tile.m, tile.n) >= 128 {
            if tile.n >= tile.m {
                tile.n = evenly(tile.n, at: tile.n / 2)
            } else {
                tile.m = evenly(tile.m, at: tile.m / 2)
            }
        }
        return tile
    }

    /// The length of equal pieces of `count` that are about `most` long, a multiple of 16.
    private static func evenly(_ count: Int, at most: Int) -> Int {
        let pieces = max(1, (count + most - 1) / most)
        return ((count + pieces - 1) / pieces + 15) / 16 * 16
    }
}

/// One tile of c, from a's `rows` and `inner` columns and what stands at `b`.
@unsafe private func sgemm(
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ a: Matrix, _ b: UnsafePointer<Float>, _ bStride: Int,
    _ bTransposed: Bool, _ rows: Range<Int>, _ columns: Int, _ inner: Range<Int>, _ accumulate: Bool
) {
    unsafe cob_sgemm(
        a.transposed ? 1 : 0, bTransposed ? 1 : 0, rows.count, columns, inner.count, 1,
        a.pointer(rows.lowerBound, inner.lowerBound), a.stride, b, bStride, accumulate ? 1 : 0, c, cStride)
}

/// A tile of a packed c: computed in float32, rounded once.
@unsafe private func packedTile(
    _ c: Matrix, _ a: Matrix, _ b: Matrix, _ rows: Range<Int>, _ columns: Range<Int>, _ k: Int,
    _ accumulate: Bool, _ memory: UnsafeMutablePointer<Float>
) {
    let width = columns.count
    func place(_ row: Int) -> Int { row * c.stride + columns.lowerBound }
    if accumulate {
        for (index, row) in rows.enumerated() {
            unsafe c.values.unpack(place(row)..<place(row) + width, into: memory + index * width)
        }
    }
    unsafe sgemm(
        memory, width, a, b.pointer(0, columns.lowerBound), b.stride, b.transposed, rows, width, 0..<k,
        accumulate)
    for (index, row) in rows.enumerated() {
        unsafe c.values.pack(memory + index * width, at: place(row), count: width)
    }
}

/// A tile of a product with a packed b, which is unpacked some of k at a time.
@unsafe private func tileOfPacked(
    _ c: Matrix, _ a: Matrix, _ b: Matrix, _ rows: Range<Int>, _ columns: Range<Int>, _ k: Int,
    _ accumulate: Bool, _ memory: UnsafeMutablePointer<Float>
) {
    let depth = 512
    for start in stride(from: 0, to: k, by: depth) {
        let inner = start..<min(start + depth, k)
        let (stored, width) = b.transposed ? (columns, inner) : (inner, columns)
        for (index, row) in stored.enumerated() {
            let first = row * b.stride + width.lowerBound
            unsafe b.values.unpack(first..<first + width.count, into: memory + index * width.count)
        }
        unsafe sgemm(
            c.pointer(rows.lowerBound, columns.lowerBound), c.stride, a, memory, width.count, b.transposed,
            rows, columns.count, inner, accumulate || start > 0)
    }
}
