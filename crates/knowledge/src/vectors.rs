//! Vectors of an embedder, compared by brute force: below a million passages nothing is faster to keep right.

/// Rows of unit length, one a passage.
#[derive(Debug)]
pub struct Matrix {
    dimension: usize,
    values: Vec<f32>,
}

/// Partial sums that do not wait for each other, so that the compiler makes vector instructions of them.
const LANES: usize = 16;

impl Matrix {
    /// An empty matrix for vectors of this many numbers.
    pub fn new(dimension: usize) -> Self {
        Self { dimension: dimension.max(1), values: Vec::new() }
    }

    /// Adds a row; one of another dimension becomes a row of zeros, which nothing is near to.
    pub fn push(&mut self, vector: &[f32]) {
        let start = self.values.len();
        self.values.resize(start + self.dimension, 0.0);
        if vector.len() == self.dimension {
            self.values[start..].copy_from_slice(vector);
            normalise(&mut self.values[start..]);
        }
    }

    /// The rows nearest to `query` by angle, at most `limit`, nearest first.
    pub fn nearest(&self, query: &[f32], limit: usize) -> Vec<(usize, f32)> {
        if query.len() != self.dimension || limit == 0 {
            return Vec::new();
        }
        let mut query = query.to_vec();
        normalise(&mut query);
        let rows = self.values.chunks_exact(self.dimension);
        let mut near: Vec<(usize, f32)> =
            rows.map(|row| dot(row, &query)).enumerate().filter(|(_, near)| *near > 0.0).collect();
        let by_angle = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if limit < near.len() {
            near.select_nth_unstable_by(limit, by_angle);
            near.truncate(limit);
        }
        near.sort_unstable_by(by_angle);
        near
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a_whole, a_rest), (b_whole, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn normalise(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length.is_finite() && length > 0.0 {
        for value in vector {
            *value /= length;
        }
    } else {
        vector.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_by_angle_come_first() {
        let mut matrix = Matrix::new(20);
        for at in 0..20 {
            let mut row = vec![0.0; 20];
            row[at] = 3.0;
            row[(at + 1) % 20] = 1.0;
            matrix.push(&row);
        }
        matrix.push(&[1.0; 3]);
        let mut query = vec![0.0; 20];
        query[5] = 0.1;
        let near: Vec<usize> = matrix.nearest(&query, 2).into_iter().map(|(row, _)| row).collect();
        assert_eq!(near, [5, 4]);
        assert!(matrix.nearest(&[1.0], 2).is_empty());
        assert!(matrix.nearest(&[f32::NAN; 20], 2).is_empty());
    }
}
