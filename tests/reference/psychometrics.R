# Reference values of the psychometric functions, made by psych, polycor, lavaan, mvtnorm and GPArotation.
# Run: Rscript tests/reference/psychometrics.R   (writes psychometrics.json and the data beside it)
suppressPackageStartupMessages({
  library(psych); library(polycor); library(lavaan); library(jsonlite); library(mvtnorm); library(GPArotation)
})
here <- file.path("tests", "reference")
v <- function(p) as.character(packageVersion(p))
out <- list(versions = list(R = R.version.string, psych = v("psych"), polycor = v("polycor"), lavaan = v("lavaan"),
                            mvtnorm = v("mvtnorm"), GPArotation = v("GPArotation")))
items <- c("A1", "A2", "A3", "A4", "A5", "C1", "C2", "C3", "C4", "C5", "E1", "E2", "E3", "E4", "E5",
           "N1", "N2", "N3", "N4", "N5", "O1", "O2", "O3", "O4", "O5")
full <- psych::bfi[, c(items, "gender")]
write.csv(full, file.path(here, "bfi.csv"), row.names = FALSE)
complete <- na.omit(full[, items])

# lavaan calls a step at the last digit "no solution"; the gradient written beside shows that it is one.

# --- reliability -------------------------------------------------------------------------------------------------
n <- complete[, c("N1", "N2", "N3", "N4", "N5")]
a <- psych::alpha(n, check.keys = FALSE)
out$alpha <- list(raw = a$total$raw_alpha, std = a$total$std.alpha, drop = a$alpha.drop$raw_alpha, item_rest = a$item.stats$r.drop,
                  mean_r = a$total$average_r)
one <- cfa("f =~ N1 + N2 + N3 + N4 + N5", n, std.lv = TRUE, control = list(rel.tol = 1e-12), optim.force.converged = TRUE)
est <- lavInspect(one, "est")
out$omega <- list(total = as.numeric(sum(est$lambda)^2 / (sum(est$lambda)^2 + sum(diag(est$theta)))),
                  loadings = as.numeric(est$lambda), residual = as.numeric(diag(est$theta)),
                  chisq = unname(fitMeasures(one, "chisq")))
mlr <- cfa("
            N1 ~~ t1*N1\nN2 ~~ t2*N2\nN3 ~~ t3*N3\nN4 ~~ t4*N4\nN5 ~~ t5*N5\n
            f =~ l1*N1 + l2*N2 + l3*N3 + l4*N4 + l5*N5\n
            omega := (l1+l2+l3+l4+l5)^2/((l1+l2+l3+l4+l5)^2 + t1+t2+t3+t4+t5)", n, std.lv = TRUE, estimator = "MLR",
           control = list(rel.tol = 1e-12), optim.force.converged = TRUE)
pe <- parameterEstimates(mlr)
out$omega$robust_error <- pe$se[pe$lhs == "omega"]
ml <- update(mlr, estimator = "ML")
pe <- parameterEstimates(ml)
out$omega$expected_error <- pe$se[pe$lhs == "omega"]

# --- polychoric --------------------------------------------------------------------------------------------------
pair <- table(complete$N1, complete$N3)
two <- polychor(pair, ML = FALSE, std.err = TRUE)
joint <- polychor(pair, ML = TRUE, std.err = TRUE)
out$polychor <- list(two_step = two$rho, ml = joint$rho, ml_error = sqrt(joint$var[1, 1]))
five <- complete[, c("A1", "A2", "A3", "A4", "A5")]
m <- outer(1:5, 1:5, Vectorize(function(i, j) if (i == j) 1 else polychor(table(five[[i]], five[[j]]), ML = FALSE)))
out$polychoric_matrix <- m
grid <- expand.grid(h = c(-2.5, -0.7, 0, 0.4, 3), k = c(-1.1, 0, 0.9, 2.2), r = c(-0.99, -0.5, 0, 0.3, 0.95))
out$bivariate <- cbind(grid, p = mapply(function(h, k, r) pmvnorm(upper = c(h, k), corr = matrix(c(1, r, r, 1), 2),
                       algorithm = TVPACK(abseps = 1e-15))[1], grid$h, grid$k, grid$r))

# --- factor analysis ---------------------------------------------------------------------------------------------
R <- cor(complete)
f5 <- fa(R, nfactors = 5, n.obs = nrow(complete), rotate = "none", fm = "minres", min.err = 1e-8, max.iter = 1000)
out$minres <- list(communality = unname(f5$communality), uniqueness = unname(f5$uniquenesses), objective = f5$criteria[2],
                   rms = f5$rms, n = nrow(complete))
ob <- oblimin(unclass(f5$loadings), eps = 1e-8, maxit = 3000)
out$oblimin <- list(loadings = unname(unclass(ob$loadings)), phi = ob$Phi)
va <- Varimax(unclass(f5$loadings), eps = 1e-8, maxit = 3000)
out$varimax <- list(loadings = unname(unclass(va$loadings)))
set.seed(1)
pa <- suppressWarnings(fa.parallel(complete, fm = "minres", fa = "both", plot = FALSE, n.iter = 10))
out$parallel <- list(nfact = pa$nfact, ncomp = pa$ncomp, pc = pa$pc.values, simulated = pa$pc.sim)

# --- agreement ---------------------------------------------------------------------------------------------------
sf <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE)
icc <- ICC(sf, lmer = FALSE)
out$icc <- icc$results
set.seed(3)
r1 <- sample(1:5, 300, TRUE, c(.1, .2, .3, .25, .15)); r2 <- pmin(5, pmax(1, r1 + sample(-2:2, 300, TRUE, c(.05, .2, .5, .2, .05))))
two <- data.frame(r1, r2)
write.csv(two, file.path(here, "two_raters.csv"), row.names = FALSE)
k <- cohen.kappa(two)
lin <- cohen.kappa(two, w = abs(outer(1:5, 1:5, "-")))
out$kappa <- list(unweighted = k$kappa, quadratic = k$weighted.kappa, var_unweighted = k$var.kappa, var_quadratic = k$var.weighted,
                  linear = lin$weighted.kappa)

# --- invariance --------------------------------------------------------------------------------------------------
hs <- HolzingerSwineford1939
write.csv(hs[, c("school", "sex", paste0("x", 1:9))], file.path(here, "holzinger.csv"), row.names = FALSE)
model <- "visual =~ x1 + x2 + x3\n textual =~ x4 + x5 + x6\n speed =~ x7 + x8 + x9"
tight <- list(rel.tol = 1e-12, iter.max = 10000)
fits <- list(
  configural = cfa(model, hs, group = "school", std.lv = TRUE, control = tight, optim.force.converged = TRUE),
  metric = cfa(model, hs, group = "school", std.lv = TRUE, group.equal = "loadings", control = tight, optim.force.converged = TRUE),
  scalar = cfa(model, hs, group = "school", std.lv = TRUE, group.equal = c("loadings", "intercepts"), control = tight, optim.force.converged = TRUE),
  strict = cfa(model, hs, group = "school", std.lv = TRUE, group.equal = c("loadings", "intercepts", "residuals"), control = tight, optim.force.converged = TRUE)
)
measures <- c("chisq", "df", "cfi", "tli", "rmsea", "srmr", "logl", "npar", "bic")
out$invariance <- lapply(fits, function(f) as.list(fitMeasures(f, measures)))
out$gradient <- max(abs(lavInspect(fits$configural, "gradient")))
pull <- function(f) { p <- parameterEstimates(f); p[p$se > 0, intersect(c("lhs", "op", "rhs", "group", "est", "se"), names(p))] }
out$scalar_parameters <- pull(fits$scalar)
single <- cfa(model, hs, std.lv = TRUE, meanstructure = TRUE, control = tight, optim.force.converged = TRUE)
out$single <- list(fit = as.list(fitMeasures(single, measures)), parameters = pull(single))
mlm <- lapply(list(configural = "", metric = "loadings", scalar = c("loadings", "intercepts")), function(equal)
  cfa(model, hs, group = "school", std.lv = TRUE, group.equal = equal, estimator = "MLM", control = tight, optim.force.converged = TRUE))
out$mlm <- lapply(mlm, function(f) as.list(fitMeasures(f, c("chisq.scaled", "chisq.scaling.factor", "cfi.robust", "rmsea.robust"))))
out$mlm_difference <- as.list(lavTestLRT(mlm$metric, mlm$scalar)[2, c("Chisq diff", "Df diff", "Pr(>Chisq)")])
rob <- cfa(model, hs, std.lv = TRUE, meanstructure = TRUE, estimator = "MLR", control = tight, optim.force.converged = TRUE)
out$single_robust <- pull(rob)
hs$class <- paste(hs$school, hs$ageyr, hs$agemo)
clu <- cfa(model, hs, std.lv = TRUE, meanstructure = TRUE, estimator = "MLR", cluster = "class", control = tight, optim.force.converged = TRUE)
out$single_clustered <- pull(clu)
write.csv(hs["class"], file.path(here, "holzinger_class.csv"), row.names = FALSE)
write_json(out, file.path(here, "psychometrics.json"), digits = 14, auto_unbox = TRUE, pretty = TRUE)
