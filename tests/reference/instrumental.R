# Reference values of two-stage least squares, made by AER and sandwich; LIML by its definition (smallest root).
# Run: Rscript tests/reference/instrumental.R   (reads card.csv and mroz.csv beside it, writes instrumental.json)
suppressPackageStartupMessages({library(AER); library(sandwich); library(jsonlite)})
here <- file.path("tests", "reference")
card <- read.csv(file.path(here, "card.csv")); mroz <- read.csv(file.path(here, "mroz.csv"))
v <- function(p) as.character(packageVersion(p))
out <- list(versions = list(R = R.version.string, AER = v("AER"), sandwich = v("sandwich")))
se <- function(V) unname(sqrt(diag(V)))
one <- function(fit, data, cluster) list(
  terms = names(coef(fit)), estimate = unname(coef(fit)), naive = se(vcov(fit)),
  clustered = se(vcovCL(fit, cluster = data[[cluster]], type = "HC1")),
  hc1 = se(vcovCL(fit, cluster = seq_len(nrow(data)), type = "HC1", cadjust = FALSE)))
exog <- "exper + expersq + black + south + smsa + smsa66"
card1 <- ivreg(as.formula(paste("lwage ~ educ +", exog, "+ factor(region) |", exog, "+ factor(region) + nearc4")), data = card)
card2 <- ivreg(as.formula(paste("lwage ~ educ +", exog, "+ factor(region) |", exog, "+ factor(region) + nearc4 + nearc2")), data = card)
mroz1 <- ivreg(lwage ~ educ + exper + expersq | exper + expersq + fatheduc + motheduc + huseduc, data = mroz)
weighted <- ivreg(lwage ~ educ + exper + expersq | exper + expersq + fatheduc + motheduc, data = mroz, weights = age)
two <- ivreg(lwage ~ educ + exper + expersq | age + kidslt6 + fatheduc + motheduc + expersq, data = mroz)
out$card1 <- one(card1, card, "age"); out$card2 <- one(card2, card, "age"); out$mroz1 <- one(mroz1, mroz, "age")
out$weighted <- one(weighted, mroz, "city"); out$two <- one(two, mroz, "age")
s <- summary(mroz1, diagnostics = TRUE)$diagnostics
out$mroz1$weak_f <- s["Weak instruments", "statistic"]; out$mroz1$sargan <- s["Sargan", "statistic"]
first <- lm(as.formula(paste("educ ~", exog, "+ factor(region) + nearc4 + nearc2")), card)
small <- lm(as.formula(paste("educ ~", exog, "+ factor(region)")), card)
out$card2$f_clustered <- waldtest(small, first, vcov = function(x) vcovCL(x, cluster = card$age, type = "HC1"))$F[2]
y <- cbind(card$lwage, card$educ); W <- model.matrix(small); Z <- model.matrix(first)
m <- function(X, Y) Y - X %*% qr.solve(X, Y)
roots <- eigen(solve(crossprod(m(Z, y))) %*% crossprod(m(W, y)))$values
kappa <- min(Re(roots)); A <- cbind(card$educ, W); H <- t(A) %*% A - kappa * t(A) %*% m(Z, A)
out$liml <- list(kappa = kappa, educ = solve(H, t(A) %*% card$lwage - kappa * t(m(Z, A)) %*% card$lwage)[1])
write_json(out, file.path(here, "instrumental.json"), digits = 14, auto_unbox = TRUE, pretty = TRUE)
